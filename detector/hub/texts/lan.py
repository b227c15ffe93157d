"""Words about reaching the hub from a phone in the same network."""

ZH = {
    "certificate": "让手机信任这台服务器",
    "certificate_why": "安装一次证书，浏览器就不再提示“不安全”，连接全程加密。",
    "certificate_get": "下载证书",
    "certificate_android": "安卓：设置 › 安全 › 加密与凭据 › 安装证书 › CA 证书，选刚下载的文件。",
    "certificate_ios": "苹果：打开下载的文件，在设置里安装描述文件，再到 通用 › 关于本机 › 证书信任设置 里打开开关。",
    "certificate_compare": "安装前核对指纹（SHA-256），要和服务器启动时显示的一样：",
    "certificate_limits": "这张证书只能证明内网地址和本地名称，不能冒充任何网站。",
}

EN = {
    "certificate": "Let your phone trust this server",
    "certificate_why": "Install its certificate once: the browser's warning goes, and all that is sent is encrypted.",
    "certificate_get": "Download the certificate",
    "certificate_android": "Android: Settings › Security › Encryption and credentials › Install a certificate › CA "
    "certificate, then choose the file.",
    "certificate_ios": "iPhone: open the file, install the profile in Settings, then turn it on in General › About › "
    "Certificate Trust Settings.",
    "certificate_compare": "Before you install it, compare its fingerprint (SHA-256) with the one the server showed "
    "when it started:",
    "certificate_limits": "It vouches for private addresses and local names only, and can pretend to be no web site.",
}
