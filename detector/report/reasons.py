"""Why a file wasn't seen, or not whole, in Chinese: a sentence as code wrote it enters, the same in Chinese leaves.

Records keep the English sentence, which is written where the reason is known. Here each of them has its Chinese one;
what an operating system or a library says in its own words stays as it is.
"""

from __future__ import annotations

import re

_NUMBER, _ANY = r"([\d.]+)", r"(.+?)"
# Parts of what follows a file's name; in the Chinese, {0} and so on are what the pattern's groups found.
REASONS: tuple[tuple[str, str], ...] = (
    (r"the file is empty \(zero bytes\)", "空文件（0 字节）"),
    (
        r"not a video file that is read here: if the recorder's player shows it, save it there as MP4 or AVI",
        "不是这里能读的视频文件：如果录像机自带的播放器能播放，请用它另存为 MP4 或 AVI",
    ),
    (r"is packed: unpack it, and replay what is in it", "是压缩包：请解压后回放里面的文件"),
    (
        r"is a program: if it plays a recording, export that as MP4 or AVI instead",
        "是程序：如果它能播放录像，请改为导出 MP4 或 AVI",
    ),
    (
        r"begins with nothing but zeros: the recorder only made room, or copying broke off: export it again",
        "开头全是零：录像机只是预留了空间，或者复制时中断了：请重新导出",
    ),
    (
        rf"its pictures are turned by {_NUMBER}°: ffmpeg -i FILE UPRIGHT.mp4 makes a recording that can be looked at",
        "画面旋转了 {0} 度：用 ffmpeg -i FILE UPRIGHT.mp4 转正后再回放",
    ),
    (
        rf"holds {_NUMBER} videos, one was looked at: ffmpeg -i FILE -map 0:v:1 -c copy OTHER.mkv takes another out",
        "里面有 {0} 路视频，只看了其中一路：用 ffmpeg -i FILE -map 0:v:1 -c copy OTHER.mkv 取出另一路再回放",
    ),
    (
        r"its format, Windows Media, isn't read here: export it as MP4 or MKV",
        "不支持 Windows Media 格式：请导出为 MP4 或 MKV",
    ),
    (
        r"truncated: its index \(moov\) is missing; the recorder was probably cut off while writing: export it again",
        "文件不完整：缺少索引（moov），多半是录像机写到一半被中断：请重新导出",
    ),
    (r"no such file", "文件不存在"),
    (r"Too many levels of symbolic links", "链接指向自身，没有文件"),
    (r"Input/output error", "读取出错：文件损坏，或磁盘有问题"),
    (
        r"ends before its first picture: it was cut off or is encrypted: export it again without a password",
        "还没有画面就结束了：文件被截断，或者加了密：请不带密码重新导出",
    ),
    (r"is a folder, not a video file", "是文件夹，不是视频文件"),
    (r"reading it is not permitted", "没有读取权限"),
    (r"holds no video stream", "里面没有视频"),
    (r"its video codec is unknown here", "不认识它的视频编码"),
    (rf"its video codec, {_ANY}, isn't read here", "不支持它的视频编码 {0}"),
    (
        r"no picture in it can be decoded: is it encrypted\? Export it again without a password",
        "没有一帧画面能解码：是否加了密？请不带密码重新导出",
    ),
    (
        rf"{_NUMBER} pictures can't be decoded, {_NUMBER} can: is it encrypted\? Export it again without a password",
        "{0} 帧画面解不了码，只有 {1} 帧能解：是否加了密？请不带密码重新导出",
    ),
    (
        rf"lasts {_NUMBER} s, {_NUMBER} s by its name: does it play too fast or slowly\? {_ANY}",
        "长 {0} 秒，文件名却说有 {1} 秒：是否播放得太快或太慢？{2}",
    ),
    (rf"breaks off after {_NUMBER} s", "看到第 {0} 秒就断了"),
    (
        rf"had {_NUMBER} bytes when it was taken up, and {_NUMBER} bytes by now: is it still written\?",
        "开始看时 {0} 字节，现在 {1} 字节：是否还在写入？",
    ),
    (rf"had {_NUMBER} bytes when it was taken up, and is gone by now", "开始看时 {0} 字节，现在文件已经不在了"),
    (rf"its camera, {_ANY}, couldn't be judged: {_ANY}", "它的摄像机 {0} 没能分析：{1}"),
    (
        rf"ended the process that read it \({_ANY}\), {_NUMBER} times: set aside",
        "{1} 次让读取它的进程中断（{0}），已搁置",
    ),
    (rf"ended the process that read it, {_NUMBER} times: set aside", "{0} 次让读取它的进程中断，已搁置"),
    (rf"made no progress for {_NUMBER} s, {_NUMBER} times: set aside", "{1} 次卡住 {0} 秒没有进展，已搁置"),
    (rf"looking at it failed with {_ANY}: set aside", "分析时出错（{0}），已搁置"),
    (rf"the same recording as {_ANY}", "与 {0} 是同一段录像"),
    (
        r"(\.\S+) is not that of a video file: if it plays a recording, export that as MP4 or AVI",
        "后缀 {0} 不是视频：如果它能播放录像，请改为导出 MP4 或 AVI",
    ),
    (r"(\.\S+) is not that of a video file", "后缀 {0} 不是视频"),
    (r"its name is not that of a video file", "文件名没有视频后缀"),
    (r"no file, but a pipe, socket or device", "不是普通文件，而是管道、套接字或设备"),
    (r"results of a replay, no recordings", "回放生成的结果，不是录像"),
    (r"made by labelwatch why, no recording", "labelwatch why 生成的影片，不是录像"),
    (rf"the folder can't be read: {_ANY}", "文件夹读不了：{0}"),
)
_COMPILED = [(re.compile(pattern, re.DOTALL), chinese) for pattern, chinese in REASONS]


def in_chinese(why: str, file: str) -> str:
    """The reason in Chinese, as it is where it is none of ours.

    Args:
        why: The English sentence; may begin with the file's name and a colon.
        file: The file that it is about.
    """
    said = why.removeprefix(f"{file}: ")
    name = f"{file}：" if said != why else ""
    for pattern, chinese in _COMPILED:
        if found := pattern.fullmatch(said):
            return name + chinese.format(*found.groups())
    return why
