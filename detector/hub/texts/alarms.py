"""Words about alarms of the system itself: what is wrong, and what to do."""

ZH: dict[str, str] = {
    "alarms": "系统异常",
    "alarms_none": "没有系统异常",
    "alarms_past": "已结束的异常",
    "alarms_past_none": "还没有过",
    "alarms_all": "全部记录",
    "alarm_since": "{time} 起，已 {span}",
    "alarm_lasted": "{time} 起，持续 {span}",
    "alarm_acknowledge": "知道了",
    "alarm_known_by": "{user} {time} 已知",
    "alarm_more": "另有 {n} 项异常",
    "alarm_over": "已恢复",
    "alarm_edge_silent": "边缘设备 {name} 没有消息",
    "alarm_do_edge_silent": "它看管的摄像机现在没人看。请检查那台设备的电源和网线；恢复后会自动补传。",
    "alarm_edge_unheard": "边缘设备 {name} 加入以后一直没有消息",
    "alarm_do_edge_unheard": "它的摄像机还没人看。请在那台设备上运行 labelwatch run；已在运行的话，"
    "看那台设备的日志：它连不上消息服务器时会写明原因。"
    "只发送回放的电脑，开始过一次带 --publish 的回放就不再提醒；不再使用的，请在“设备”页停用。",
    "alarm_knocking": "有设备自称 {name}，但密钥不对或已停用，已拒绝",
    "alarm_do_knocking": "可能有人冒充它，或丢失的设备又上线了。若是自己重装过的设备，请在“设备”页让它重新加入。",
    "alarm_flood": "边缘设备 {name} 一小时内报了 {n} 起严重告警",
    "alarm_do_flood": "若看起来都不像真的，它可能坏了，或落到了别人手里：请在“设备”页停用它（丢失、被盗或停用）。"
    "告警一条不丢；别台设备的告警照常列出和通知。",
    "alarm_flood_look": "看它的告警",
    "alarm_flood_stop": "去停用它",
    "alarm_camera_silent": "{title} 没有画面",
    "alarm_do_camera_silent": "请检查这台摄像机的电源、网线和密码。",
    "alarm_backlog": "边缘设备 {name} 积压 {backlog} 条告警，最久的已等 {oldest}",
    "alarm_do_backlog": "告警会晚到。请检查那台设备到监控中心的网络是否太慢。",
    "alarm_backlog_catching_up": "边缘设备 {name} 正在补传：{from} 以来的告警还有 {backlog} 条在等",
    "alarm_do_backlog_catching_up": "它断过线，存下的告警正在自己送来，新的先到。"
    "数量一直不减的话，请检查那台设备到监控中心的网络是否太慢。",
    "alarm_do_backlog_owed": "那台设备的磁盘写不进去，有的告警只在内存里，断电就丢：先别重启，先修好或腾出磁盘。",
    "alarm_clips_stuck": "边缘设备 {name} 的录像传不上来：{n} 段在等，已有 {oldest} 一段都没传成",
    "alarm_do_clips_stuck": "告警照常送达，录像存在那台设备上，没能送到监控中心，原因写在那台设备的日志里。",
    "alarm_do_clips_stuck_unreachable": "告警照常送达，录像存在那台设备上，但它连不上 hub.url 写的地址。"
    "请检查这个地址、证书（hub.ca_file）和中间的防火墙。",
    "alarm_do_clips_stuck_between": "告警照常送达，录像存在那台设备上。应答它的不是监控中心，而是中间的代理或登录页："
    "请让它的上传通过，不限大小。",
    "alarm_do_clips_stuck_no_room": "监控中心的磁盘不够了，录像在那台设备上等着。请判断积压的告警，或清理磁盘。",
    "alarm_dropped": "边缘设备 {name} 丢弃了 {n} 条告警",
    "alarm_do_dropped": "缓存放不下了（{why}），先丢的是提示。请尽快让它连上监控中心，或加大它的缓存。",
    "alarm_dropped_clips": "边缘设备 {name} 删掉了 {n} 段没传上来的录像",
    "alarm_do_dropped_clips": "缓存放不下了（{why}）；告警本身还在。请尽快让它连上监控中心，或加大它的缓存。",
    "alarm_dead": "边缘设备 {name} 有 {n} 条告警或录像一直被拒收，已搁置",
    "alarm_do_dead": "内容还在那台设备上。请联系安装人员查看原因。",
    "alarm_lost": "边缘设备 {name} 缺 {n} 条告警，不知去向",
    "alarm_do_lost": "编号不连续，设备也没说丢弃过。如果恢复过备份，就是备份之后送来的那些；否则请联系安装人员。",
    "alarm_edge_store": "边缘设备 {name} 的存储损坏过 {n} 次，已另存，工作继续",
    "alarm_do_edge_store": "损坏时还没送出的告警可能没了。磁盘可能要坏，请联系安装人员更换。",
    "alarm_edge_disk": "边缘设备 {name} 磁盘快满了，只剩 {free} GB（{percent}%）",
    "alarm_do_edge_disk": "录像会先被删。请清理那台设备的磁盘。",
    "alarm_clock": "边缘设备 {name} 的时钟差了 {offset} 秒",
    "alarm_do_clock": "证据上的时间会不准。请让那台设备与时间服务器同步。",
    "alarm_hub_key": "边缘设备 {name} 不认这个监控中心",
    "alarm_do_hub_key": "它认的是另一把密钥（{known}…，这里是 {own}…），所以告警一直存在它那里，不会丢。"
    "如果监控中心重装过，请让它重新加入。",
    "alarm_certificate": "边缘设备 {name} 的证书（或它信任的 CA）{to} 到期",
    "alarm_do_certificate": "到期后它连不上消息服务器或监控中心。请在那之前让它重新加入，或换上新的 CA 文件。",
    "alarm_hub_certificate": "监控中心或消息服务器的证书（或 CA）{to} 到期",
    "alarm_do_hub_certificate": "到期后告警再也进不来。请在那之前再运行一次 labelwatch certs，"
    "然后重启消息服务器和监控中心；是哪一张，labelwatch doctor --config hub.yaml 会说。",
    "alarm_overload": "边缘设备 {name} 忙不过来：{of} 路摄像机中有 {n} 路看得太少",
    "alarm_do_overload": "有人的画面会优先看，但动作可能漏看。请减少它的路数、改用子码流，或换更强的设备。",
    "alarm_safe_mode": "边缘设备 {name} 的配置文件有误，正按旧配置继续监控",
    "alarm_do_safe_mode": "新改的设置没有生效。请安装人员按“运行”页所列修正配置文件，再重启设备。",
    "alarm_hub_down": "监控中心或其数据库停过机：{from} 到 {to}，共 {span}",
    "alarm_do_hub_down": "这段时间没人能看到告警；边缘设备照常记录，已补传或正在补传。请查明为什么停机。",
    "alarm_hub_store": "监控中心的数据库损坏，已另存为 {file}，工作继续",
    "alarm_do_hub_store": "读得出的 {rows} 条已带过来{backup}。录像没有动。损坏的文件请勿删除，请联系安装人员。",
    "alarm_with_backup": "，并用 {time} 的备份补齐",
    "alarm_hub_store_damaged": "监控中心的数据库有一处损坏",
    "alarm_do_hub_store_damaged": "请重启监控中心：它会把坏文件原样另存，带走读得出的内容；在此之前无法备份。"
    "数据库用 PostgreSQL 的，重启不能修复，请从备份恢复。磁盘可能要坏。",
    "alarm_hub_disk": "监控中心磁盘快满了，只剩 {free} GB（{percent}%）",
    "alarm_do_hub_disk": "满了以后收不下新的录像和告警。请清理磁盘，或缩短录像保留天数。",
    "alarm_broker_lost": "监控中心连不上消息服务器",
    "alarm_do_broker_lost": "现在收不到任何边缘设备的消息；告警在各设备上等着，不会丢。"
    "请检查消息服务器是否在运行；在运行的话，看监控中心日志里的原因。",
    "why_rows": "条数已满",
    "why_bytes": "容量已满",
    "why_age": "太久没送达",
    "why_disk": "磁盘已满",
    "why_unknown": "原因不明",
    "late_card": "迟到：{time} 才收到",
    "ahead_card": "设备时钟快 {span}",
    "unset_card": "设备时钟未对时",
    "fact_ahead": "设备时钟",
    "fact_unset_value": "当时还没有对时，它自己记的是 {time}；动作和录像按它的时钟",
    "fact_ahead_value": "快 {span}，它自己记的是 {time}；动作和录像按它的时钟",
    "kind_system": "系统异常",
    "notice_sum_many": "系统异常 {n} 项",
    "notice_reason_many": "系统异常一时太多，汇总后再发",
    "notice_sum_late": "迟到 {n} 起（设备断网期间发生，刚收到）",
    "notice_reason_late": "迟到，汇总后再发",
    "health_lost": "丢失",
    "health_dropped_clips": "丢弃的录像",
    "health_dropped_views": "丢弃的画面与计数",
    "health_full": "缓存已用",
    "health_told_dropped": "监控中心已知 {n} 条",
}

EN: dict[str, str] = {
    "alarms": "System alarms",
    "alarms_none": "Nothing is wrong with the system",
    "alarms_past": "Alarms that are over",
    "alarms_past_none": "none yet",
    "alarms_all": "all of them",
    "alarm_since": "since {time}, for {span}",
    "alarm_lasted": "from {time}, for {span}",
    "alarm_acknowledge": "Acknowledge",
    "alarm_known_by": "acknowledged by {user}, {time}",
    "alarm_more": "{n} more alarm|{n} more alarms",
    "alarm_over": "Over",
    "alarm_edge_silent": "Edge box {name} says nothing",
    "alarm_do_edge_silent": "Nobody watches its cameras now. Check the box's power and network; it catches up by "
    "itself.",
    "alarm_edge_unheard": "Edge box {name} has said nothing since it joined",
    "alarm_do_edge_unheard": "Nobody watches its cameras yet. Start labelwatch run on it; if it runs, its log says "
    "what keeps it from the broker. A computer for replays alone is missed no more once it has begun one with "
    "--publish; shut out what isn't used on the page of boxes.",
    "alarm_knocking": "A box calls itself {name}, with another key or one that was shut out, and is refused",
    "alarm_do_knocking": "Somebody may pose as it, or a lost box is back on the network. If it is your own, set up "
    "anew, let it join again on the page of boxes.",
    "alarm_flood": "Edge box {name} raised {n} critical alerts within an hour",
    "alarm_do_flood": "If nothing of it looks true, it is broken or in strange hands: shut it out on the page of boxes "
    "(lost, stolen, retired). No alert is lost, and those of other boxes are listed and told all the same.",
    "alarm_flood_look": "See its alerts",
    "alarm_flood_stop": "Shut it out",
    "alarm_camera_silent": "{title} brings no picture",
    "alarm_do_camera_silent": "Check this camera's power, network and password.",
    "alarm_backlog": "Edge box {name} holds back {backlog} alerts, the oldest for {oldest}",
    "alarm_do_backlog": "Alerts come late. Check whether the network from that box to the hub is too slow.",
    "alarm_backlog_catching_up": "Edge box {name} is catching up: {backlog} alerts waiting since {from}",
    "alarm_do_backlog_catching_up": "It was cut off, and what it kept comes by itself, new alerts first. "
    "If the number doesn't fall, check whether the network from that box to the hub is too slow.",
    "alarm_do_backlog_owed": "That box's disk takes nothing, and some alerts are in its memory alone, lost when it is "
    "switched off: mend or clear the disk before you restart it.",
    "alarm_clips_stuck": "Edge box {name} can't hand over a clip: none got through for {oldest}"
    "|Edge box {name} can't hand over {n} clips: none got through for {oldest}",
    "alarm_do_clips_stuck": "Alerts arrive, and clips are kept at that box. Why they don't reach the hub its log says.",
    "alarm_do_clips_stuck_unreachable": "Alerts arrive, and clips are kept at that box, but the address in its hub.url "
    "can't be reached from there. Check it, its certificate (hub.ca_file) and any firewall between.",
    "alarm_do_clips_stuck_between": "Alerts arrive, and clips are kept at that box. Not the hub answers it but a proxy "
    "or a login page on the way: let its uploads pass, whatever their size.",
    "alarm_do_clips_stuck_no_room": "The hub's disk is short, and clips wait at that box. Judge what waits, or make "
    "room on the disk.",
    "alarm_dropped": "Edge box {name} dropped {n} alert|Edge box {name} dropped {n} alerts",
    "alarm_do_dropped": "It had no room ({why}); notes went first. Connect it to the hub, or give it larger buffers.",
    "alarm_dropped_clips": "Edge box {name} deleted {n} clip that was not uploaded|"
    "Edge box {name} deleted {n} clips that were not uploaded",
    "alarm_do_dropped_clips": "It had no room ({why}); the alerts are still there. Connect it to the hub, or give it "
    "larger buffers.",
    "alarm_dead": "Edge box {name} gave up {n} alert or clip that is always refused|"
    "Edge box {name} gave up {n} alerts or clips that are always refused",
    "alarm_do_dead": "They are kept on that box. Ask the installer to find out why.",
    "alarm_lost": "{n} alert of edge box {name} is missing|{n} alerts of edge box {name} are missing",
    "alarm_do_lost": "Its numbers have gaps, and it does not say that it dropped any. If a backup was brought back, "
    "they are those that came after it was made; else ask the installer.",
    "alarm_edge_store": "The store of edge box {name} was corrupt {n} time; it is set aside and work goes on|"
    "The store of edge box {name} was corrupt {n} times; it is set aside and work goes on",
    "alarm_do_edge_store": "Alerts that had not been sent by then may be gone. The disk may be failing: have it "
    "replaced.",
    "alarm_edge_disk": "The disk of edge box {name} is nearly full: {free} GB free ({percent} %)",
    "alarm_do_edge_disk": "Clips will be deleted first. Clear that box's disk.",
    "alarm_clock": "The clock of edge box {name} is off by {offset} s",
    "alarm_do_clock": "The times on evidence will be wrong. Have that box follow a time server.",
    "alarm_hub_key": "Edge box {name} does not take this hub for its own",
    "alarm_do_hub_key": "It knows another key ({known}…, this hub's is {own}…), so its alerts wait there; "
    "none is lost. If the hub was set up anew, let the box join again.",
    "alarm_certificate": "A certificate of edge box {name}, or of an authority that it trusts, ends on {to}",
    "alarm_do_certificate": "After that it reaches the broker or the hub no more. Let the box join again before, or "
    "give it the authority's new file.",
    "alarm_hub_certificate": "A certificate of this hub, of its broker or of their authority ends on {to}",
    "alarm_do_hub_certificate": "After that no alert comes in. Run labelwatch certs again before, then restart broker "
    "and hub; labelwatch doctor --config hub.yaml says which it is.",
    "alarm_overload": "Edge box {name} is overloaded: {n} of {of} cameras is looked at too seldom|"
    "Edge box {name} is overloaded: {n} of {of} cameras are looked at too seldom",
    "alarm_do_overload": "Cameras with people come first, but acts may be missed. Give it fewer cameras, have it use "
    "their substreams, or take a stronger box.",
    "alarm_safe_mode": "Edge box {name} can't use its configuration file, and watches on with the last good one",
    "alarm_do_safe_mode": "What was changed is not in force. Have the file mended as the health page says, and the box "
    "restarted.",
    "alarm_hub_down": "This hub or its database was down from {from} to {to} ({span})",
    "alarm_do_hub_down": "Nobody could see alerts then; edge boxes recorded all the same, and catch up. Find out why "
    "it stopped.",
    "alarm_hub_store": "The hub's database was corrupt; it is set aside as {file} and work goes on",
    "alarm_do_hub_store": "{rows} rows that can be read were taken over{backup}. No footage was touched. Keep the "
    "broken file, and call the installer.",
    "alarm_with_backup": ", and filled up from the backup of {time}",
    "alarm_hub_store_damaged": "The hub's database is damaged in one place",
    "alarm_do_hub_store_damaged": "Restart the hub: it sets the broken file aside as it is and takes over what can be "
    "read; before that no backup can be made. On PostgreSQL no restart mends it: bring a backup back. The disk may be "
    "failing.",
    "alarm_hub_disk": "The hub's disk is nearly full: {free} GB free ({percent} %)",
    "alarm_do_hub_disk": "When it is full, no new clips or alerts are taken. Clear the disk, or keep footage for fewer "
    "days.",
    "alarm_broker_lost": "The hub can't reach the broker",
    "alarm_do_broker_lost": "No edge box can be heard now; alerts wait there and are not lost. Check whether the "
    "broker is running; if it is, the hub's log says what keeps the hub out.",
    "why_rows": "too many",
    "why_bytes": "too large",
    "why_age": "not delivered for too long",
    "why_disk": "the disk is full",
    "why_unknown": "not told why",
    "late_card": "late: received {time}",
    "ahead_card": "its clock is {span} ahead",
    "unset_card": "its clock was not set",
    "fact_ahead": "Its clock",
    "fact_unset_value": "was not set yet and said {time}; acts and film are by it",
    "fact_ahead_value": "is {span} ahead and said {time}; acts and film are by it",
    "kind_system": "System alarms",
    "notice_sum_many": "{n} system alarm|{n} system alarms",
    "notice_reason_many": "many system alarms at once, told together",
    "notice_sum_late": "{n} incident came late (from an edge box that was cut off)|"
    "{n} incidents came late (from an edge box that was cut off)",
    "notice_reason_late": "came late, summed up",
    "health_lost": "Lost",
    "health_dropped_clips": "Clips dropped",
    "health_dropped_views": "Views dropped",
    "health_full": "Buffer used",
    "health_told_dropped": "{n} told to the hub",
}
