"""Vendors behind TLS, and a proxy before them: certificates of one's own, and a way to a host that no name leads to."""

import datetime
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.servers.openai_server import OpenAIServer

_DAY = datetime.timedelta(days=1)


def certificate(folder: Path, *names: str) -> tuple[Path, Path]:
    """A certificate for host names that only itself vouches for, and its key, as PEM files in a folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return public, private


class TLSServer(OpenAIServer):
    """The vendor, behind TLS with a certificate of its own."""

    def __init__(self, public: Path, private: Path) -> None:
        super().__init__()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(public, private)
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._http.server_address[1])


class RawServer:
    """Says the same bytes to whoever connects, whatever is asked, and closes."""

    def __init__(self, says: bytes) -> None:
        self.says = says
        self.heard: list[bytes] = []
        """The first line of each connection."""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    @property
    def address(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        """Answer one connection."""
        with suppress(OSError), connection:
            asked = connection.recv(65_536)
            self.heard.append(asked.split(b"\r\n")[0])
            connection.sendall(self.says)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):  # until the other side closes, so that nothing is reset
                pass


class TunnelProxy(RawServer):
    """A proxy that leads every host it is asked for to one port of this machine."""

    def __init__(self, port: int) -> None:
        super().__init__(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self._port = port

    def serve(self, connection: socket.socket) -> None:
        """Tunnel one connection."""
        with suppress(OSError), connection, socket.create_connection(("127.0.0.1", self._port)) as behind:
            self.heard.append(connection.recv(65_536).split(b"\r\n")[0])
            connection.sendall(self.says)
            back = threading.Thread(target=_pass, args=(behind, connection), daemon=True)
            back.start()
            _pass(connection, behind)
            back.join()


def _pass(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65_536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
