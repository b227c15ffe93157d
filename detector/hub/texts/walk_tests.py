"""Words about walk tests: labels photographed on purpose, to see what a camera finds."""

ZH: dict[str, str] = {
    "walk_title": "{camera}：试拍",
    "walk_link": "试拍",
    "walk_how": (
        "拿手机像不想被人发现那样拍几张面单，就知道这一路看不看得到。先点“开始试拍”，拍完回来填拍了几件。"
        "每次单独拍，走位、距离、姿势都换一换；拍过十几次，数字才有分量。"
    ),
    "walk_nothing_held": "试拍不影响告警：照常告警、照常通知，谁也不能借试拍躲过去。开始和结束都记入审计日志。",
    "walk_begin": "开始试拍",
    "walk_goes_on": "{time} 起正在试拍（{user}）",
    "walk_now": "现在去拍。拍完填件数；{n} 分钟内没有结束就不算。",
    "walk_parcels": "拍了几件包裹的面单？",
    "walk_end": "拍完了",
    "walk_take_back": "没拍，取消",
    "walk_rest": "{time} 之后可以再拍：离上一次太近，会和上一次算成同一起事件。",
    "walk_again": "再看一次",
    "walk_not_now": "现在试拍说明不了什么。",
    "walk_found": "结果",
    "walk_sum": "{n} 次中 {k} 次告警。",
    "walk_interval": "照这样推算，真有人这样拍，{low} 到 {high} 会告警（把握 95%）。",
    "walk_alert": "告警了",
    "walk_digest": "只进了汇总，没有告警",
    "walk_none": "没有发现",
    "walk_unwatched": "当时没在看，不算",
    "walk_joined": "当时已有一起告警在进行，分不开，不算",
    "walk_waiting": "还没有消息，最多等十分钟",
    "walk_after": "试拍开始后 {span} 收到",
    "walk_of": "拍了 {n} 件",
    "walk_counted": "系统数出 {count} 张",
    "walk_unjudged": "还没有人判断",
    "walk_none_yet": "还没有试拍过。",
    "walk_during": "{began}–{ended} 在这一路试拍（{user}，{n} 件）",
    "action_walk_test_begun": "开始试拍",
    "action_walk_test_ended": "结束试拍",
    "action_walk_test_taken_back": "取消试拍",
    "detail_parcels": "包裹",
}
EN: dict[str, str] = {
    "walk_title": "{camera}: walk test",
    "walk_link": "Walk test",
    "walk_how": (
        "Photograph a few labels with a phone, as somebody would who doesn't want to be noticed: so you learn what "
        "this camera sees. Press the button first; come back afterwards and say how many parcels there were. Make each "
        "test anew, from another place, distance and posture: it takes a dozen to say much."
    ),
    "walk_nothing_held": (
        "A test holds nothing back: alerts and notices go out as ever, so nobody can hide behind one. Its beginning "
        "and end are in the audit log."
    ),
    "walk_begin": "Begin a walk test",
    "walk_goes_on": "A walk test goes on since {time} ({user})",
    "walk_now": "Go and photograph now, then say how many. One that isn't ended within {n} minutes doesn't count.",
    "walk_parcels": "Labels of how many parcels did you photograph?",
    "walk_end": "I am done",
    "walk_take_back": "I took none, cancel",
    "walk_rest": "The next one can begin at {time}: what follows sooner may be told as the same incident.",
    "walk_again": "Look again",
    "walk_not_now": "A walk test says nothing now.",
    "walk_found": "What was found",
    "walk_sum": "{k} of {n} tests came as an alert.",
    "walk_interval": "So of people who photograph like that, {low} to {high} would (95 % sure).",
    "walk_alert": "Came as an alert",
    "walk_digest": "In the digest, not as an alert",
    "walk_none": "Not found",
    "walk_unwatched": "Not watched then, doesn't count",
    "walk_joined": "An alert of before went on, so it can't be told apart and doesn't count",
    "walk_waiting": "Nothing heard yet; it may take ten minutes",
    "walk_after": "heard {span} after it began",
    "walk_of": "{n} parcel photographed|{n} parcels photographed",
    "walk_counted": "{count} label counted|{count} labels counted",
    "walk_unjudged": "nobody judged it yet",
    "walk_none_yet": "No walk tests yet.",
    "walk_during": "Walk test at this camera, {began}–{ended} ({user}, {n} parcel)|"
    "Walk test at this camera, {began}–{ended} ({user}, {n} parcels)",
    "action_walk_test_begun": "began a walk test",
    "action_walk_test_ended": "ended a walk test",
    "action_walk_test_taken_back": "took a walk test back",
    "detail_parcels": "parcels",
}
