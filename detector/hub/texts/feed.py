"""Words about the feed, the day at a glance, the weeks, and the navigation."""

ZH: dict[str, str] = {
    "navigation": "主导航",
    "nav_feed": "告警",
    "nav_review": "复核",
    "nav_cases": "案件",
    "nav_cameras": "摄像机",
    "nav_health": "运行",
    "nav_more": "更多",
    "nav_tuning": "门槛",
    "nav_notices": "通知",
    "nav_people": "人员",
    "nav_audit": "审计",
    "nav_retention": "保存",
}

EN: dict[str, str] = {
    "navigation": "Main",
    "nav_feed": "Alerts",
    "nav_review": "Review",
    "nav_cases": "Cases",
    "nav_cameras": "Cameras",
    "nav_health": "Health",
    "nav_more": "More",
    "nav_tuning": "Tuning",
    "nav_notices": "Notices",
    "nav_people": "People",
    "nav_audit": "Audit",
    "nav_retention": "Retention",
}
