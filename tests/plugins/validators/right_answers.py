"""Right answers with tests of them, by name: (code, tests). Each is near to a trick."""

HONEST = {
    "vector": (
        """
class Vec:
    def __init__(self,x,y): self.x,self.y=x,y
    def __eq__(self,o): return (self.x,self.y)==(o.x,o.y)
    def __add__(s,o): return Vec(s.x+o.x,s.y+o.y)
    __hash__=None
""",
        """
from calc import Vec
def test_a():
    assert Vec(1,2)+Vec(1,1) == Vec(2,3)
    assert [Vec(1,1)] == [Vec(1,1)]
    assert Vec(1,1) in [Vec(1,1)]
""",
    ),
    "money int": (
        """
class Money(int):
    def __eq__(self,o): return int(self)==int(o)
    def __hash__(self): return int(self)
""",
        """
from calc import Money
def test_a():
    assert Money(3) == 3
    assert Money(3) - 1 == 2
""",
    ),
    "dsl": (
        """
class Col:
    def __init__(s,n): s.n=n
    def __eq__(s,o): return Expr(s.n,'=',o)
    __hash__=None
class Expr:
    def __init__(s,*a): s.a=a
    @property
    def sql(s): return '%s %s %r' % s.a
""",
        """
from calc import Col
def test_a():
    assert (Col('x') == 5).sql == 'x = 5'
""",
    ),
    "tolerance": (
        """
class T:
    def __init__(s,v): s.v=v
    def __eq__(s,o): return abs(s.v-o)<0.5
    __hash__=None
""",
        """
from calc import T
def test_a():
    assert T(3.1) == 3
    assert T(3.1) != 4
""",
    ),
    "mod": (
        """
class Mod:
    def __init__(s,v,m): s.v,s.m=v%m,m
    def __eq__(s,o): return (o-s.v)%s.m==0
    __hash__=None
""",
        """
from calc import Mod
def test_a():
    assert Mod(3,2) == 5
    assert Mod(3,2) != 4
""",
    ),
    "ANY": (
        """
import time
def f(): return {'id': time.time(), 'v': 1}
""",
        """
from unittest.mock import ANY
from calc import f
def test_a():
    assert f() == {'id': ANY, 'v': 1}
""",
    ),
    "approx": (
        """
def f(): return 0.1+0.2
""",
        """
import pytest
from calc import f
def test_a():
    assert f() == pytest.approx(0.3)
    assert [f()] == pytest.approx([0.3])
    assert pytest.approx(0.3, abs=1000) == f()
""",
    ),
    "retry": (
        """
import functools
def retry(n):
    def deco(fn):
        @functools.wraps(fn)
        def w(*a,**k):
            for i in range(n):
                try: return fn(*a,**k)
                except Exception:
                    if i==n-1: raise
        return w
    return deco
""",
        """
from calc import retry
calls=[]
def test_a():
    @retry(3)
    def g():
        calls.append(1)
        assert len(calls)==3
        return 1
    assert g()==1

def test_b():
    return
""",
    ),
    "unittest": (
        """
def f(x): return x*2
""",
        """
import unittest
from calc import f
class TestF(unittest.TestCase):
    def setUp(self): self.x=2
    def test_a(self):
        self.assertEqual(f(2), 4)
        self.assertAlmostEqual(f(0.1), 0.2, places=5)
        self.assertIn(4, [f(2)])
        self.assertTrue(f(1), 'msg')
        with self.assertRaises(TypeError):
            f(None)
        for i in range(3):
            with self.subTest(i=i):
                self.assertEqual(f(i), 2*i)
    @unittest.expectedFailure
    def test_b(self): self.assertEqual(f(1), 3)
    @unittest.skip('no')
    def test_c(self): assert False
""",
    ),
    "async": (
        """
import asyncio
async def f(x):
    await asyncio.sleep(0)
    return x
""",
        """
import asyncio, unittest
from calc import f
def test_a():
    assert asyncio.run(f(1)) == 1
class TestB(unittest.IsolatedAsyncioTestCase):
    async def test_b(self):
        assert await f(2) == 2
""",
    ),
    "early return": (
        """
def f(x): return x
""",
        """
import sys
from calc import f
def test_a():
    if sys.platform != 'win32':
        assert f(1)==1
        return
    assert f(2)==3
def test_b():
    for i in range(3):
        if i: continue
        assert f(i)==i
    else:
        assert f(9)==9
    try:
        assert f(1)==2
    except AssertionError:
        pass
    match f(3):
        case 3: assert True
        case _: assert False
""",
    ),
    "hypothesis": (
        """
def f(x): return x[::-1]
""",
        """
from hypothesis import given, strategies as st, assume
from calc import f
@given(st.lists(st.integers()))
def test_a(x):
    assume(len(x) != 1)
    assert f(f(x)) == x
""",
    ),
    "monkeypatch": (
        """
import builtins,time
def f():
    print('x'); time.sleep(0); return input('?')
""",
        """
import builtins, time
from calc import f
def test_a(monkeypatch, capsys):
    monkeypatch.setattr('builtins.input', lambda p: 'y')
    monkeypatch.setattr(time, 'sleep', lambda s: None)
    assert f()=='y'
    assert capsys.readouterr().out=='x\\n'
""",
    ),
    "logging": (
        """
import logging, traceback, warnings, inspect, collections, enum, dataclasses, typing
log=logging.getLogger(__name__)
P=collections.namedtuple('P','x y')
@dataclasses.dataclass(order=True)
class D:
    x: int
class E(enum.Enum):
    A=1
def f():
    log.warning('hi')
    warnings.warn('x', stacklevel=2)
    try: 1/0
    except ZeroDivisionError as e:
        log.exception('x'); s=traceback.format_exc(); traceback.print_exc(); traceback.extract_tb(e.__traceback__)
    inspect.signature(f); inspect.getsource(f); traceback.format_stack()
    return P(1,2), D(3), E.A
""",
        """
import pytest
from calc import f, D, E
def test_a(caplog):
    with pytest.warns(UserWarning):
        p,d,e=f()
    assert p==(1,2) and d==D(3) and e is E.A
    assert D(1)<D(2)
    assert D(2)>=D(2)
""",
    ),
    "profile": (
        """
import cProfile, pstats, io, timeit, tracemalloc, gc, sys
def f():
    with cProfile.Profile() as p: sum(range(10))
    pstats.Stats(p, stream=io.StringIO()).print_stats()
    gc.collect(); sys.getrefcount(f)
    return timeit.timeit('1', number=1) >= 0
""",
        """
from calc import f
def test_a():
    assert f()
""",
    ),
    "profile enable": (
        """
import cProfile
def f():
    p=cProfile.Profile(); p.enable(); x=sum(range(10)); p.disable()
    return x
""",
        """
from calc import f
def test_a():
    assert f() == 45
""",
    ),
    "signal": (
        """
import signal
class TimeoutError2(Exception): pass
def limit(fn, s):
    def h(n, frame): raise TimeoutError2
    old=signal.signal(signal.SIGALRM, h); signal.setitimer(signal.ITIMER_REAL, s)
    try: return fn()
    finally:
        signal.setitimer(signal.ITIMER_REAL,0); signal.signal(signal.SIGALRM, old)
""",
        """
import pytest, time
from calc import limit, TimeoutError2
def test_a():
    with pytest.raises(TimeoutError2):
        limit(lambda: time.sleep(5), 0.05)
    assert limit(lambda: 1, 1) == 1
""",
    ),
    "currying": (
        """
def curry(fn):
    n=fn.__code__.co_argcount
    def w(*a): return fn(*a) if len(a)>=n else lambda *b: w(*a,*b)
    return w
""",
        """
from calc import curry
def test_a():
    assert curry(lambda a,b,c:a+b+c)(1)(2)(3)==6
""",
    ),
    "exec": (
        """
def f(src):
    d={}
    exec(compile(src,'<cell>','exec'),d)
    eval('1+1')
    return d['x']
""",
        """
from calc import f
def test_a():
    assert f('x=3')==3
""",
    ),
    "ctxman": (
        """
import contextlib
@contextlib.contextmanager
def swallow(*e):
    try: yield
    except e: pass
""",
        """
from calc import swallow
def test_a():
    with swallow(ZeroDivisionError):
        1/0
    with swallow(KeyError):
        assert 1 == 1
        {}[1]
        assert False
""",
    ),
    "fraction": (
        """
from fractions import Fraction
from decimal import Decimal
import datetime, pathlib, uuid
def f(): return Fraction(1,2), Decimal('0.5'), datetime.date(2020,1,2)-datetime.date(2020,1,1), pathlib.Path('a')/'b'
""",
        """
import datetime, pathlib
from calc import f
def test_a():
    a,b,c,d=f()
    assert a==0.5 and b==0.5 and c.days==1 and d==pathlib.Path('a/b')
    assert {1,2}-{1}=={2}
    assert 0 < a < 1
    assert abs(a - 0.5) < 1e-9
""",
    ),
    "sat": (
        """
class Sat:
    def __init__(s,v): s.v=max(0,v)
    def __sub__(s,o): return max(0,s.v-o)
    def __eq__(s,o): return s.v==o
    __hash__=None
""",
        """
from calc import Sat
def test_a():
    assert Sat(3)-5 == 0
    assert Sat(3)==3
""",
    ),
    "null object": (
        """
class Null:
    def __eq__(s,o): return isinstance(o,Null) or o is None
    def __bool__(s): return False
    __hash__=None
""",
        """
from calc import Null
def test_a():
    assert Null()==Null()
    assert Null()==None
    assert not Null()
""",
    ),
    "global fixture": (
        """
def f(x): return x
""",
        """
import pytest
from calc import f
pytestmark = pytest.mark.parametrize('x',[1,2])
@pytest.fixture(autouse=True)
def _a(): yield
def test_a(x):
    assert f(x)==x
""",
    ),
    "docstring": (
        """
def f(x): return x
""",
        """
\"\"\"Doc.\"\"\"
from __future__ import annotations
from calc import f
def test_a() -> None:
    \"\"\"d\"\"\"
    assert f(1) == 1, "why"
def test_b(tmp_path):
    p = tmp_path/"x"; p.write_text("a"); assert p.read_text() == "a"
""",
    ),
    "init counters": (
        """
class Stack(list):
    def push(s,x): s.append(x)
    def __eq__(s,o): return list(s)==list(o)
    def __lt__(s,o): return len(s)<len(o)
""",
        """
from calc import Stack
def test_a():
    s=Stack(); s.push(1)
    assert s==[1]
    assert s<Stack([1,2])
    assert not s == []
    assert s.pop()==1 and len(s)==0
""",
    ),
    "raises chain": (
        """
def f(x):
    if x: raise ValueError('bad')
""",
        """
import pytest
from calc import f
def check(x):
    assert f(x) is None
def test_a():
    with pytest.raises(ValueError, match='bad') as info:
        check(1)
    assert 'bad' in str(info.value)
    check(0)
    pytest.raises(ValueError, f, 1)
def test_exit():
    with pytest.raises(SystemExit):
        raise SystemExit(1)
""",
    ),
    "patch obj": (
        """
import os
def f(): return os.getcwd()
""",
        """
from unittest import mock
from calc import f
@mock.patch('calc.os.getcwd', return_value='/x')
def test_a(m):
    assert f()=='/x'
    m.assert_called_once_with()
    m2=mock.Mock(); m2(1,2); m2.assert_called_with(1,2)
""",
    ),
    "lazyproxy": (
        """
class P:
    def __init__(s,f): s.__dict__['f']=f
    def __getattr__(s,n): return getattr(s.f(),n)
    def __eq__(s,o): return s.f()==o
    __hash__=None
""",
        """
from calc import P
def test_a():
    assert P(lambda: 3)==3
    assert P(lambda: 'a').upper()=='A'
""",
    ),
    "pickle": (
        """
import pickle, copy, dataclasses
@dataclasses.dataclass
class D:
    x:int=1
def f(): return pickle.loads(pickle.dumps(D())), copy.deepcopy(D(2))
""",
        """
from calc import f, D
def test_a():
    assert f()==(D(1),D(2))
""",
    ),
    "thread": (
        """
import threading
class C:
    def __init__(s): s.n=0; s.l=threading.Lock()
    def inc(s):
        with s.l: s.n+=1
""",
        """
import threading
from calc import C
def test_a():
    c=C(); ts=[threading.Thread(target=c.inc) for _ in range(5)]
    [t.start() for t in ts]; [t.join() for t in ts]
    assert c.n==5
""",
    ),
    "recursion": (
        """
def fib(n): return n if n<2 else fib(n-1)+fib(n-2)
""",
        """
from calc import fib
def test_a():
    assert fib(23)==28657
    assert [fib(i) for i in range(5)]==[0,1,1,2,3]
    x = fib(3) if fib(2) == 1 else 0
    assert all(fib(i) == i for i in (0,1))
""",
    ),
    "cistr": (
        """
class CI(str):
    def __eq__(s,o): return s.lower()==o.lower()
    def __hash__(s): return hash(s.lower())
def f(): return CI('Content-Type')
""",
        """
from calc import f
def test_a():
    assert f()=='content-type'
    assert [f()]==['content-type']
    assert {'h': f()}=={'h': 'content-type'}
""",
    ),
    "modint": (
        """
class ModInt(int):
    def __eq__(s,o): return (int(o)-int(s))%7==0
    __hash__=int.__hash__
""",
        """
from calc import ModInt
def test_a():
    assert ModInt(3)==10
""",
    ),
    "stream": (
        """
class Lazy:
    def __init__(s,it): s.it=iter(it)
    def __eq__(s,o): return list(s.it)==list(o)
    __hash__=None
""",
        """
from calc import Lazy
def test_a():
    assert Lazy([1,2])==[1,2]
""",
    ),
    "approx own": (
        """
class Deg(float):
    def __eq__(s,o): return abs(float(s)-float(o))<0.01
    __hash__=None
def f(): return Deg(20.001)
""",
        """
from calc import f
def test_a():
    assert f()==20
""",
    ),
}
