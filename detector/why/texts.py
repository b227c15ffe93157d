"""Every word of the page, in both languages. In a text "one|many", n decides which is said."""

from __future__ import annotations

ZH = {
    "title": "当时看到了什么",
    "told": "再看一遍，报出来了：{n} 起拍摄面单的事件",
    "not_told": "没有报警",
    "told_else": "没有报拍摄面单，报的是别的（见下面）",
    "strange": "配置里没有摄像机“{camera}”：整个画面按一个堆放区、默认规定处理，可能和实际的区域、规定不同；"
    "某台摄像机有哪些文件，写在它的 recordings 里，再看一遍。",
    "undated": "录于何时，只有文件日期说明，拷贝就会改变它："
    "这里的时间、班次和例外可能不对；用 --start 或 --pattern 说明。",
    "next": "可以这样做：",
    "nobody": "画面里没有人",
    "likeliest": "最可能的是 {who} 号人员：",
    "hardly": "没有人看上去在拍照。最接近的是 {who} 号人员：",
    "looked": "按现在的设置看了 {since} – {until}；画面和下面的线是 {begin} – {end}（{zone} 时间）。",
    "break": "{before} 到 {after} 录像断开或画面变了大小：前后的拍照不算在一起，编号也各算各的。",
    "other_events": "这段时间里的其他事件",
    "film": "每个人框上的数字是编号和“正在拍照”的把握（0–1，算一次拍照要 {least}）；框越红，把握越高。"
    "面单和包裹已打码。",
    "people": "画面里的人",
    "more": "另有 {n} 人，把握更低，这里不列；全部见 --json。",
    "person": "{who} 号人员",
    "in_view": "{begin} – {end}，{n} 次观察",
    "strip": "线：拍照的把握，虚线以上才算一次拍照。色块：每次观察单独看最像什么；空白：没轮到细看，或看不出。",
    "photo": "拍照",
    "scan": "扫码",
    "call": "打电话",
    "browse": "看手机",
    "none": "什么都没用",
    "unclear": "说不清",
    "phone": "手机",
    "scanner": "扫码枪",
    "acts": "认出的动作：",
    "place_yes": "在区域 {zones} 里",
    "place_no": "不在任何区域里，或者人、包裹在忽略的区域里：那里不报",
    "forbidden_yes": "这里、这个时间不许拍照",
    "forbidden_no": "{zones} 里这个时间允许拍照",
    "forbidden_few": "{zones} 里这个时间允许几个人拍照，一起拍的没有超过这个人数",
    "forbidden_more": "这里、这个时间不许超过规定的人数一起拍照",
    "because": "（理由：{because}）",
    "near_yes": "够近（站立高约 {height} 像素，要 {least}）",
    "near_no": "太远（站立高只有约 {height} 像素，手机要看得清需要 {least}）",
    "looked_yes": "{of} 次观察中细看了 {n} 次",
    "looked_no": "人多，没轮到（{of} 次观察中只细看了 {n} 次）",
    "device_yes": "细看 {of} 次，{n} 次看到手里有东西：{kinds}，约 {side} 像素",
    "device_no": "细看了 {of} 次，一次也没看到手里有手机或扫码枪",
    "photo_yes": "认出 {n} 次拍照",
    "photo_no": "没有认出拍照（把握最高 {most}，要 {least}），总的看来最像“{likeliest}”",
    "photo_short": "像在拍（把握最高 {most}），但不到 {least_s:g} 秒，不算一次拍照",
    "photo_blank": "没有认出拍照，一次也看不出在做什么",
    "photo_scans": "认出 {scans} 次扫码，这里不许扫码",
    "scanned_no": "{of} 次里有 {n} 次算作扫码：一下就完，包裹随后被拿走",
    "enough_yes": "算数的 {n} 次，对着 {parcels} 个不同的包裹",
    "enough_no": "太少：这里不许、又对着包裹的只有 {n} 次，{parcels} 个不同的包裹；"
    "报警至少要 {least} 次、{least_parcels} 个",
    "enough_together": "加上别人的，或这之前、之后的，够了（这个人这段时间 {n} 次）",
    "sure_yes": "连续拍摄的把握 {score}（要 {least}）",
    "sure_no": "连续拍摄的把握只有 {score}，低于要求的 {least}",
    "sure_off": "“拍面单”在这台摄像机被关闭了，多有把握都不报",
    "sure_apart": "没有连成一起：相邻两次相隔 {window} 秒以内才算在一起",
    "next_place": "在摄像机页面（或配置的 zones）把那里画进区域，忽略的区域改小。",
    "next_forbidden": "如果那里不该拍照，改这个区域的规定（policy）或例外（exemptions）。",
    "next_near": "摄像机装近些，或换长焦镜头，才看得清手机。",
    "next_looked": "调高 analysis.zooms，一次细看更多人；机器要更快。",
    "next_device": "在片子里看得到手机吗？看不到，就是被挡住了：换个角度。看得到，就是太小或太暗：装近些，加些光。",
    "next_photo": "片子里确实在拍吗？从侧面、近些的摄像机看得更准；rules.photo.error 调高，较少把握也算，误报也多。",
    "next_photo_short": "多短的也算，由 rules.photo.least_s 定；analysis.fps 高些，短的看得更清。",
    "next_scanned": "在片子里看是不是扫码：拍得这么短、包裹又马上拿走的，只有人分得清；拍得久些的都算。",
    "next_enough": "要几次、几个包裹，写在 rules.sweep；前后还有别的，用 --around 多看一些。",
    "next_sure": "从多少把握起报，由中心的“告警门槛”页面或 incidents.least_score 定。",
    "next_sure_off": "在监控中心的“告警门槛”页面重新开启。",
    "next_sure_apart": "相隔多久还算在一起，由 rules.sweep.window_s 定。",
    "told_step": "报出来了（{severity}）：{sentence}",
    "next_told": "当时没收到？先在监控中心的“告警”里找这个时间。有，就看“通知”的规则（严重程度、地点、时段）和"
    "发送记录；没有，就是当时设备没在看（见“运行”页），或者设置后来改过。",
}
EN = {
    "title": "What was seen then",
    "told": "Looked at again, it is told: one incident of label photography|Looked at again, it is told: {n} incidents "
    "of label photography",
    "not_told": "Nobody was told",
    "told_else": "Nobody was told of photographing, but of something else (see below)",
    "strange": "The configuration knows no camera {camera}: judged as one storage zone, by the default policy, which "
    "may not be what holds there. Let recordings of a camera say which files are its, and look again.",
    "undated": "Only the dates of files, which copying changes, tell when this was: times, shifts and exemptions may "
    "be wrong here. Say it with --start or --pattern.",
    "next": "What to do: ",
    "nobody": "Nobody was in view",
    "likeliest": "The likeliest is person {who}: ",
    "hardly": "Nobody looks as if they photograph. Person {who} comes nearest to it: ",
    "looked": "Looked at from {since} to {until}, by the settings of today; the film and the lines below are of "
    "{begin} – {end} ({zone}).",
    "break": "From {before} to {after} the recordings break off, or the picture changes its size: photos before and "
    "after don't count together, and numbers of people are of others.",
    "other_events": "What else was told of this time",
    "film": "The numbers at each box are the person's and how far it is believed that they photograph just then (0 to "
    "1; a photo takes {least}); the redder, the surer. Labels and parcels are beyond reading.",
    "people": "Who was in view",
    "more": "One more person, believed less, isn't listed; all are in --json.|"
    "{n} more people, believed less, aren't listed; all are in --json.",
    "person": "Person {who}",
    "in_view": "{begin} – {end}, one look|{begin} – {end}, {n} looks",
    "strip": "Line: how far a photo is believed; it is one above the dashes. Blocks: what each look by itself is most "
    "like; blank where it was the turn of others, or nothing can be told.",
    "photo": "photo",
    "scan": "scan",
    "call": "call",
    "browse": "reading a phone",
    "none": "using nothing",
    "unclear": "unclear",
    "phone": "phone",
    "scanner": "scanner",
    "acts": "Acts told: ",
    "place_yes": "within {zones}",
    "place_no": "within no zone, or they or the parcels are within one that is ignored: of that nothing is told",
    "forbidden_yes": "photographing is forbidden here at this time",
    "forbidden_no": "photographing is allowed within {zones} at this time",
    "forbidden_few": "photographing is allowed to a few people within {zones} at this time, and no more took part",
    "forbidden_more": "photographing is forbidden here at this time to more than a few people together",
    "because": " (because: {because})",
    "near_yes": "near enough ({height} pixels tall standing; asked for: {least})",
    "near_no": "too far off ({height} pixels tall standing; a phone can be judged from {least} on)",
    "looked_yes": "looked at closely {n} times of {of}",
    "looked_no": "it was the turn of others (looked at closely {n} times of {of})",
    "device_yes": "in {n} of {of} close looks something was seen in the hand: {kinds}, about {side} pixels large",
    "device_no": "in none of {of} close looks a phone or scanner was seen in the hand",
    "photo_yes": "one photo was recognised|{n} photos were recognised",
    "photo_no": "no photo was recognised (believed up to {most}, where {least} is asked for), and all in all it looked "
    "most like “{likeliest}”",
    "photo_short": "it looked like a photo (believed up to {most}), but for less than {least_s:g} s, which "
    "counts as none",
    "photo_blank": "no photo was recognised, and none of the looks tells what is done",
    "photo_scans": "one scan was recognised, where scanning is forbidden|{scans} scans were recognised, where scanning "
    "is forbidden",
    "scanned_no": "{n} of {of} were taken for scans: over at once, and the parcel was taken away after",
    "enough_yes": "{n} that count, at {parcels} different parcels",
    "enough_no": "too few: {n} that are forbidden and aim at a parcel, at {parcels} different parcels, where an alert "
    "takes {least} at {least_parcels}",
    "enough_together": "enough with those of others, or before and after ({n} of this person in this time)",
    "sure_yes": "as a sweep believed to {score} (asked for: {least})",
    "sure_no": "as a sweep believed to {score} only, below the {least} asked for",
    "sure_off": "label photography is switched off at this camera: nothing is told, however sure",
    "sure_apart": "they don't make a sweep: each has to follow the one before within {window} seconds",
    "next_place": "draw a zone there, on the camera's page at the hub or as zones in the configuration, or make the "
    "ignored one smaller.",
    "next_forbidden": "if nobody is to photograph there, change the zone's policy or its exemptions.",
    "next_near": "a camera nearer by, or a longer lens, shows phones well enough.",
    "next_looked": "a higher analysis.zooms looks closely at more people at a time, which takes a faster machine.",
    "next_device": "does the film show the phone? If not, it was hidden: look from another side. If it does, it was "
    "too small or too dark: a nearer camera, or more light.",
    "next_photo": "does the film show photos being taken? A nearer camera, from the side, tells better; a higher "
    "rules.photo.error takes less for a photo, with more false alarms.",
    "next_photo_short": "rules.photo.least_s says how short a photo may be; a higher analysis.fps sees short ones "
    "better.",
    "next_scanned": "see in the film whether these were scans: where a photo is that short and the parcel moved at "
    "once, only people can tell; longer ones count whatever becomes of the parcel.",
    "next_enough": "rules.sweep says how many at how many parcels; if there was more before or after, see it with "
    "--around.",
    "next_sure": "from where on it is told is set on the hub's page of thresholds, or by incidents.least_score.",
    "next_sure_off": "switch it on again on the hub's page of thresholds.",
    "next_sure_apart": "rules.sweep.window_s says how long may be between them.",
    "told_step": "told ({severity}): {sentence}",
    "next_told": "did no alert come then? Look for that time among the hub's alerts. If it is there, the rules of "
    "Notices (severity, place, hours) and their log say whose phone rang. If it isn't, the box wasn't watching (see "
    "Health), or settings were changed since.",
}
