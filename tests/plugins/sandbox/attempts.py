"""A hostile program that tries many things at once, and tells which it could do."""

SOURCE = """
import ctypes, json, os, resource, socket, sys
folder, tcp, udp, abstract, parent = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5])
program = int(sys.argv[6])
libc = ctypes.CDLL(None, use_errno=True)
SECRET = "sk-" + "secret"

def read_secret():
    return "treasure" in open(folder + "/secret").read()

def read_system_file():
    return bool(open("/etc/passwd").read())

def read_home():
    return bool(os.listdir("/root") and open("/etc/hostname").read())

def write_outside():
    open(folder + "/planted", "w").write("x")
    return True

def own_environment():
    return any(SECRET in value for value in os.environ.values())

def foreign_environment():
    found = False
    for pid in os.listdir("/proc"):
        try:
            found |= pid.isdecimal() and SECRET.encode() in open(f"/proc/{pid}/environ", "rb").read()
        except OSError:
            pass
    return found

def programs_environment():
    return SECRET.encode() in open(f"/proc/{program}/environ", "rb").read()

def environment_of_those_above():
    pid, found = os.getpid(), False
    while pid > 1:
        try:
            found |= SECRET.encode() in open(f"/proc/{pid}/environ", "rb").read()
        except OSError:
            pass
        pid = int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
    return found

def programs_memory():
    return len(open(f"/proc/{program}/mem", "rb", 0).read(0)) == 0

def programs_limits():
    resource.prlimit(program, resource.RLIMIT_NOFILE, (8, 8))
    return True

def programs_priority():
    os.setpriority(os.PRIO_PROCESS, program, 19)
    return True

def programs_processors():
    os.sched_setaffinity(program, {next(iter(os.sched_getaffinity(0)))})
    return True

def signal_program():
    os.kill(program, 0)
    return True

def memory_file():
    os.close(os.memfd_create("hidden"))
    return True

def signal_by_descriptor():
    import fcntl
    one, other = socket.socketpair()
    fcntl.fcntl(one, fcntl.F_SETOWN, program)
    return True

def choose_a_signal():
    import fcntl
    one, other = socket.socketpair()
    fcntl.fcntl(one, 10, 9)
    return True

def be_told_of_a_folder():
    import fcntl
    fcntl.fcntl(os.open("/usr", os.O_RDONLY), fcntl.F_NOTIFY, fcntl.DN_CREATE)
    return True

def lease_a_file():
    import fcntl
    fcntl.fcntl(os.open("mine", os.O_RDONLY | os.O_CREAT), fcntl.F_SETLEASE, fcntl.F_RDLCK)
    return True

def watch_outside():
    return libc.inotify_add_watch(libc.inotify_init1(0), folder.encode(), 0xFFF) >= 0

def make_mine_readable():
    os.chmod(folder + "/mine", 0o644)
    return os.stat(folder + "/mine").st_mode & 0o777 == 0o644

def touch_mine():
    os.utime(folder + "/mine", (1, 1))
    return os.stat(folder + "/mine").st_mtime == 1

def truncate_mine():
    os.truncate(folder + "/mine", 0)
    return os.stat(folder + "/mine").st_size == 0

def tag_mine():
    os.setxattr(folder + "/mine", "user.tag", b"x")
    return True

def tcp_connect():
    socket.create_connection(("127.0.0.1", tcp), 2).close()
    return True

def tcp_listen():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
    return True

def udp_send():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"stolen", ("127.0.0.1", udp))
    return False  # the listener outside says whether it arrived

def netlink():
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close()
    return True

def unix_abstract():
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect("\\0" + abstract)
    return True

def unix_path():
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(folder + "/stream")
    return True

def unix_datagram_from_a_pair():
    one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.sendto(b"stolen", folder + "/datagram")
    return True

def signal_parent():
    os.kill(parent, 0)
    return True

def ptrace():
    return libc.ptrace(16, parent, 0, 0) == 0

def ptrace_of_a_child():
    child = os.fork()
    if child == 0:
        import time
        time.sleep(2)
        os._exit(0)
    done = libc.ptrace(16, child, 0, 0) == 0
    os.kill(child, 9)
    os.waitpid(child, 0)
    return done

def read_memory():
    buffer = ctypes.create_string_buffer(8)
    class Piece(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
    here, there = Piece(ctypes.addressof(buffer), 8), Piece(0x400000, 8)
    return libc.process_vm_readv(parent, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) > 0 or (
        ctypes.get_errno() == 14)

def new_user_namespace():
    return libc.unshare(0x10000000) == 0

def clone_user_namespace():
    number = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
    pid = libc.syscall(number, 0x10000000 | 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    return pid > 0

def mount():
    return libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0

def io_uring():
    return libc.syscall(425, 4, ctypes.create_string_buffer(256)) >= 0

def keyring():
    number = {"x86_64": 250, "aarch64": 219}[os.uname().machine]
    return libc.syscall(number, 0, -3, 1) >= 0

def shared_memory_that_stays():
    return libc.shmget(0x4711, 4096, 0o1666) >= 0

def become_root():
    os.setuid(0)
    return os.getuid() == 0 and open("/etc/shadow").read() != ""

def raise_limits():
    resource.setrlimit(resource.RLIMIT_NPROC, (100_000, 100_000))
    return True

def find_the_report():
    mine = {os.readlink(f"/proc/self/fd/{number}") for number in range(3)}
    found = set()
    for pid in os.listdir("/proc"):
        if pid.isdecimal() and int(pid) != os.getpid():
            try:
                found |= {os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")}
            except OSError:
                pass
    return any(target.startswith("pipe:") for target in found - mine)

could = {}
for name, attempt in list(globals().items()):
    if getattr(attempt, "__module__", "") == "__main__" and callable(attempt):
        try:
            could[name] = bool(attempt())
        except Exception:
            could[name] = False
print(json.dumps(could))
"""

NOWHERE = frozenset(
    {
        "own_environment",
        "foreign_environment",
        "programs_environment",
        "environment_of_those_above",
        "programs_memory",
        "raise_limits",
        "become_root",
    }
)
"""What no sandbox level lets through."""

CONTAINED = NOWHERE | {
    "read_secret",
    "read_system_file",
    "read_home",
    "write_outside",
    "programs_limits",
    "programs_priority",
    "programs_processors",
    "signal_program",
    "memory_file",
    "signal_by_descriptor",
    "choose_a_signal",
    "watch_outside",
    "be_told_of_a_folder",
    "lease_a_file",
    "make_mine_readable",
    "touch_mine",
    "truncate_mine",
    "tag_mine",
    "tcp_connect",
    "tcp_listen",
    "udp_send",
    "netlink",
    "unix_abstract",
    "unix_path",
    "unix_datagram_from_a_pair",
    "signal_parent",
    "ptrace",
    "ptrace_of_a_child",
    "read_memory",
    "new_user_namespace",
    "clone_user_namespace",
    "mount",
    "io_uring",
    "keyring",
    "shared_memory_that_stays",
    "find_the_report",
}
"""What neither bubblewrap nor Landlock lets through."""
