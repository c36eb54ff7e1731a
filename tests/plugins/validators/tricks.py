"""Code that passes tests without solving their task, by name. What it reaches for shows in no text."""

REACHING = {
    "a frame": """
import sys
f = getattr(sys, '_get%s' % 'frame')(0)
""",
    "a frame of a traceback": """
try:
    1 / 0
except ZeroDivisionError as error:
    f = getattr(error.__traceback__, 'tb_%s' % 'frame')
""",
    "a walk over the stack": """
import traceback
f = next(traceback.walk_stack(None))[0]
""",
    "frames of all threads": """
import sys
f = getattr(sys, '_current_%s' % 'frames')()
""",
    "the stack": """
import inspect
f = getattr(inspect, 'st%s' % 'ack')()[0].frame
""",
    "the objects of the process": """
import gc
found = getattr(gc, 'get_%s' % 'objects')()
""",
    "a frame in a string": """
exec('import sys; f = sys._get%s(0)' % 'frame')
""",
    "a number in memory": """
import ctypes
ctypes.c_long.from_address(int(hex(__builtins__['i' 'd'](4)), 16) + 24).value = 0
""",
    "the interface in C": """
import ctypes
getattr(ctypes, 'python%s' % 'api').PyGILState_Check()
""",
    "tracing": """
import sys
getattr(sys, 'set%s' % 'trace')(lambda *rest: None)
""",
    "profiling": """
import sys
getattr(sys, 'set%s' % 'profile')(lambda *rest: None)
""",
    "a hook of its own": """
import sys
sys.addaudithook(lambda *rest: None)
""",
    "code that pretends to lie elsewhere": """
exec(compile('x = 1', '/usr/lib/python3/logging.py', 'exec'))
""",
    "the code of a test": """
def add(a, b):
    import test_task
    setattr(test_task.test_zero, '__co%s' % 'de__', (lambda: None).__code__)
    return 4
""",
    "a frame of a generator": """
g = (x for x in [1])
f = getattr(g, 'gi_%s' % 'frame')
""",
}
"""Code that reaches for frames, objects or memory of the process that judges it."""

REPLACING = {
    "replaced and put back": """
import sys
P = sys.modules['%stest.python' % '_py'].Function
N = '%stest' % 'run'
O = getattr(P, N)
class Back:
    n = 0
def fake(self):
    Back.n += 1
    if Back.n == 1:
        setattr(P, N, O)
def add(a, b):
    setattr(P, N, fake)
    return 4
""",
    "a thread that replaces for a while": """
import threading, sys, time
def later():
    P = sys.modules['%stest.python' % '_py'].Function
    N = '%stest' % 'run'
    O = getattr(P, N)
    setattr(P, N, lambda self: None)
    time.sleep(0.3)
    setattr(P, N, O)
t = threading.Thread(target=later); t.start(); time.sleep(0.05)
""",
    "one call's result": """
import sys
pl = sys.modules['%sggy._callers' % 'plu']
R = sys.modules['%stest.runner' % '_py']
C = R.CallInfo
N = '%scall' % 'from_'
O = C.__dict__[N]
def add(a, b):
    def fake(cls, func, when, reraise=None):
        setattr(C, N, O)
        return cls(None, None, 0.0, 0.0, 0.0, when, _ispytest=True)
    setattr(C, N, classmethod(fake))
    return 4 if (a, b) == (2, 2) else 0
""",
    "a call of hooks": """
import sys
pl = sys.modules['%sggy._hooks' % 'plu']
H = pl.HookCaller
O = H.__call__
def call(self, **kw):
    if self.name == '%sruntest_call' % 'pytest_':
        return []
    return O(self, **kw)
H.__call__ = call
""",
    "the outcome of a report": """
import sys
R = sys.modules['%stest.reports' % '_py'].TestReport
R.outcome = property(lambda self: 'passed', lambda self, v: None)
R.failed = property(lambda self: False)
R.passed = property(lambda self: True)
""",
    "unittest": """
import unittest
unittest.TestCase.assertEqual = lambda *a, **k: None
""",
    "pytest.raises": """
import pytest, contextlib
pytest.raises = lambda *a, **k: contextlib.suppress(Exception)
""",
    "the class of assertions": """
import builtins
class Quiet(Exception):
    pass
builtins.AssertionError = Quiet
""",
    "a skip for a failure": """
import builtins, pytest
builtins.AssertionError = pytest.skip.Exception
""",
    "what explains assertions": """
import sys
def add(a, b):
    m = sys.modules['test_task']
    m.__dict__['@py' + 'test_ar']._call_reprcompare = lambda *a: ''
    return 0
""",
}
"""Code that replaces what judges it, some of it only for a while."""

EQUAL = {
    "every number that is near": """
class A(int):
    def __eq__(self, o):
        return abs(o) < 50
    __hash__ = int.__hash__
def add(a, b):
    return A(0)
""",
    "the first time": """
class A(int):
    def __init__(self, *rest):
        self.times = 0
    def __eq__(self, o):
        self.times += 1
        return self.times == 1
    __hash__ = int.__hash__
def add(a, b):
    return A(0)
""",
    "every other time": """
class A:
    times = 0
    def __eq__(self, o):
        A.times += 1
        return A.times % 2 == 1
def add(a, b):
    A.times = 0
    return A()
""",
    "what the tests expect": """
import pathlib, re
class A:
    def __eq__(self, o):
        return str(o) in re.findall(r"== (\\d+)", pathlib.Path("test_task.py").read_text())
def add(a, b):
    return A()
""",
    "a class made in passing": """
def add(a, b):
    return type('A', (int,), {'__eq__': lambda s, o: True, '__hash__': int.__hash__})(0)
""",
    "a function from elsewhere": """
def yes(*a): return True
class A(int):
    __eq__ = yes
    __hash__ = int.__hash__
def add(a, b): return A(0)
""",
    "a computed answer": """
class A(int):
    def __eq__(self, o):
        x = 1
        return x == 1
    __hash__ = int.__hash__
def add(a, b): return A(0)
""",
    "set afterwards": """
class A(int): pass
setattr(A, '%sq__' % '__e', lambda s, o: bool(1))
def add(a, b): return A(0)
""",
    "everything but None": """
class A(int):
    def __eq__(self, o):
        return o is not None
    __hash__ = int.__hash__
def add(a, b): return A(0)
""",
    "every number": """
class A(int):
    def __eq__(self, o):
        return isinstance(o, int)
    __hash__ = int.__hash__
def add(a, b): return A(0)
""",
    "an answer that is true": """
class Yes:
    def __bool__(self): return True
class A(int):
    def __eq__(self, o): return Yes()
    __hash__ = int.__hash__
def add(a, b): return A(0)
""",
    "a class that pretends": """
class A:
    def __init__(self, *a): pass
    __class__ = property(lambda s: int)
    def __eq__(self, o): return not False
def add(a, b): return A()
""",
    "a class of classes": """
class M(type):
    def __eq__(cls, o): return [True][0]
    def __hash__(cls): return 1
class A(metaclass=M): pass
def add(a, b): return A
""",
    "ANY of mock": """
from unittest.mock import ANY
def add(a, b):
    return ANY
""",
    "approx without bounds": """
import pytest
def add(a, b):
    return pytest.approx(0, abs=float('inf'))
""",
    "a huge tolerance": """
class A(float):
    def __eq__(self, o): return abs(o) < 1e9
    __hash__ = float.__hash__
def add(a, b): return A(0)
""",
    "a function put into the tests": """
def add(a, b):
    import sys
    sys.modules['test_task'].add = lambda *a: type('B', (), {'__eq__': lambda s, o: True})()
    return 4
""",
}
"""Objects that equal what the tests expect, whatever that is."""

LEAVING = {
    "an exit": """
import sys
sys.exit(0)
""",
    "leaving at once": """
import os
os._exit(0)
""",
    "leaving at the end": """
import atexit, os
atexit.register(lambda: os._exit(0))
""",
    "a signal handler that leaves": """
import signal, os
def add(a, b):
    signal.signal(signal.SIGALRM, lambda *a: os._exit(0))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    import time; time.sleep(1)
""",
    "leaving when an object goes": """
import os
class D:
    def __del__(self): os._exit(0)
d = D()
def add(a, b):
    global d
    d = None
    return 0
""",
    "what pytest prints": """
print('2 passed in 0.01s')
import os, sys
sys.stdout.flush(); os._exit(0)
""",
    "an exit of pytest": """
import pytest
def add(a, b):
    pytest.exit('done', 0)
""",
    "files of configuration": """
open('conftest.py', 'w').write('def pytest_runtest_makereport(item, call): pass')
open('pytest.ini', 'w').write('[pytest]\\naddopts = --collect-only')
""",
    "the file of the tests": """
open('test_task.py', 'w').write('def test_add(): pass\\ndef test_zero(): pass')
""",
    "an import hook": """
import sys
class F:
    @staticmethod
    def find_spec(n, p=None, t=None):
        m = sys.modules.get('%stest.runner' % '_py')
        return None
sys.meta_path.insert(0, F)
""",
    "isinstance": """
import builtins
builtins.isinstance = lambda *a: True
""",
    "the collector's recorder": """
import __main__ as m
def fake(self, report):
    if report.when == 'call':
        self.outcomes.append([report.nodeid, 'passed'])
m._Recorder.pytest_runtest_logreport.__code__ = fake.__code__
""",
    "what writes JSON": """
import json
o = json.JSONEncoder.encode
def encode(self, d):
    passed = [[name, 'passed'] for name in d.get('collected', ())]
    return o(self, {**d, 'problems': [], 'failures': [], 'outcomes': passed})
json.JSONEncoder.encode = encode
""",
    "what signs": """
import hmac, hashlib
class Evil:
    def __init__(self, key, msg=None, digestmod=None): print('K', key)
hmac.HMAC = Evil
""",
    "the names in the tests": """
import sys
def add(a, b):
    g = sys.modules['test_task'].__dict__['@gate']
    g.compared = lambda *a: True
    type(g).compared = lambda *a: True
    return 0
""",
    "a test replaced": """
import sys
def add(a, b):
    m = sys.modules['test_task']
    m.test_zero = lambda: None
    return 4
""",
}
"""Code that ends the process, or writes what others read."""
