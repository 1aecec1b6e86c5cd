"""The sets from OpenML, read from a small server on this machine that stands in for it."""

import functools
import gc
import gzip
import hashlib
import http.client
import json
import re
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch

from kanerva import InputError, InputFileError
from kanerva.lab import data
from kanerva.lab.data import _openml

SENTENCE = r"^data\.load: source must be .+, but it was .+; [^;]+\.$"
UNREACHABLE = "OpenML could not be reached"
# What OpenML calls the set, its number, its file, and the first pixel.
KNOWN = {
    "mnist": ("mnist_784", 554, 52667, "pixel1"),
    "fashion": ("Fashion-MNIST", 40996, 18238735, "pixel1"),
    "cifar10": ("CIFAR_10", 40927, 16797613, "a0"),
}

SPOILT = {
    "empty": b"",
    "no gzip": b"spoilt",
    "half a text": gzip.compress(b"{"),
    "half a file": gzip.compress(b"x" * 5000)[:40],
}


def files(name, values, labels):
    """Return what OpenML answers about a set: five documents by their paths, in its own format."""
    title, number, file, _ = KNOWN[name]
    columns = [f"{'a' if name == 'cifar10' else 'pixel'}{i}" for i in range(values.shape[1])]
    head = [f"@RELATION {title}", "", *(f"@ATTRIBUTE {column} real" for column in columns)]
    rows = [
        ",".join(map(str, (*row, label)))
        for row, label in zip(values.tolist(), labels, strict=True)
    ]
    arff = "\n".join(
        [*head, "@ATTRIBUTE class {0,1,2,3,4,5,6,7,8,9}", "", "@DATA", *rows, ""]
    ).encode()
    plain = {
        "is_target": "false",
        "is_ignore": "false",
        "is_row_identifier": "false",
        "number_of_missing_values": "0",
    }
    features = [
        {"index": str(i), "name": column, "data_type": "numeric", **plain}
        for i, column in enumerate(columns)
    ]
    features.append(
        {
            "index": str(len(columns)),
            "name": "class",
            "data_type": "nominal",
            **plain,
            "is_target": "true",
        }
    )
    place = f"data/v1/download/{file}/{title}.arff"
    about = {
        "id": str(number),
        "name": title,
        "version": "1",
        "description": "A stand-in.",
        "format": "ARFF",
        "status": "active",
        "url": f"https://www.openml.org/{place}",
        "md5_checksum": hashlib.md5(arff).hexdigest(),
    }
    entry = {
        "did": number,
        "name": title,
        "version": 1,
        "status": "active",
        "format": "ARFF",
        "file_id": file,
    }
    answers = {
        f"data/list/data_name/{title.lower()}/limit/2/data_version/1": {
            "data": {"dataset": [entry]}
        },
        f"data/{number}": {"data_set_description": about},
        f"data/features/{number}": {"data_features": {"feature": features}},
        f"data/qualities/{number}": {
            "data_qualities": {
                "quality": [{"name": "NumberOfInstances", "value": str(float(len(values)))}]
            }
        },
    }
    return {
        f"/api/v1/json/{path}": json.dumps(answer).encode() for path, answer in answers.items()
    } | {f"/{place}": arff}


class OpenML(ThreadingHTTPServer):
    """The stand-in: documents by path, and a way to answer badly."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.files, self.asked, self.status, self.cut = {}, [], 200, None

    def handle_error(self, request, address):
        pass  # a client that gave up


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.asked.append(self.path)
        if server.status == "silence":
            time.sleep(2)
            return
        body = gzip.compress(server.files[self.path]) if server.status == 200 else b""
        self.send_response(server.status)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: server.cut])

    def log_message(self, *_):
        pass


class Loopback(urllib.request.HTTPSHandler):
    """Lead what is meant for OpenML to the stand-in; without one, nowhere."""

    def __init__(self, port):
        super().__init__()
        self.port = port

    def https_open(self, request):
        assert request.host == "www.openml.org"
        if self.port is None:
            raise urllib.error.URLError(socket.gaierror(-2, "Name or service not known"))
        return self.do_open(
            lambda _, timeout: http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout),
            request,
        )


@pytest.fixture
def reach(monkeypatch):
    """Return what sets where OpenML is found."""
    monkeypatch.setattr(urllib.request, "_opener", None)

    def lead(port):
        urllib.request.install_opener(
            urllib.request.build_opener(urllib.request.ProxyHandler({}), Loopback(port))
        )

    yield lead
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # scikit-learn leaves the answers of a server that refuses open
        gc.collect()


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """Keep what is fetched in a folder of the test."""
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def openml(reach, cache):
    """Put up the stand-in, with all sets."""
    server = OpenML()
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    ).start()
    server.files |= documents()
    reach(server.server_port)
    yield server
    server.shutdown()
    server.server_close()


def sets():
    """Draw twelve small pictures of each set."""
    draw = np.random.default_rng(0)
    labels = [5, 0, 4, 1, 9, 2, 1, 3, 1, 4, 3, 5]
    ink = draw.integers(0, 256, (12, 784)) * (draw.random((12, 784)) < 0.2)
    ink[0, :3] = 127, 128, 255
    colours, cloth = (draw.integers(0, 256, (12, width)) for width in (3072, 784))
    return {"mnist": (ink, labels), "fashion": (cloth, labels), "cifar10": (colours, labels)}


@functools.cache
def documents():
    """Return what OpenML answers about all sets, by paths."""
    answers = {}
    for name, (values, labels) in sets().items():
        answers |= files(name, values, labels)
    return answers


def kept(cache):
    """List the files of the cache."""
    return sorted(path for path in cache.rglob("*") if path.is_file())


def refused(part, name="mnist"):
    """Load what cannot be had; return the sentence, which says ``part``."""
    with pytest.raises(InputFileError) as caught:
        data.load(name)
    sentence = str(caught.value)
    assert re.match(SENTENCE, sentence), sentence
    assert part in sentence
    assert f"'{name}'" in sentence
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    return sentence


class TestLoad:
    def test_mnist(self, openml):
        ink, labels = sets()["mnist"]
        found = data.load("mnist")
        assert (found.name, found.shape, found.classes) == ("mnist", (28, 28), tuple("0123456789"))
        assert found.labels.tolist() == labels
        np.testing.assert_allclose(found.real.numpy(), ink / 127.5 - 1, atol=1e-6)
        assert torch.equal(found.bits == 1, torch.from_numpy(ink >= 128))
        assert found.bits[0, :3].tolist() == [-1, 1, 1]
        assert "12 handwritten digits" in found.notes[0]
        assert "127.5, half of full ink" in found.notes[1]

    def test_fashion_is_drawn_dark_on_light(self, openml):
        cloth, labels = sets()["fashion"]
        found = data.load("fashion")
        assert (found.name, found.shape, found.ink) == ("fashion", (28, 28), True)
        assert found.labels.tolist() == labels
        assert [found.classes[label] for label in (0, 5, 9)] == [
            "T-shirt or top",
            "sandal",
            "ankle boot",
        ]
        assert len(set(found.classes)) == 10
        np.testing.assert_allclose(found.real.numpy(), cloth / 127.5 - 1, atol=1e-6)
        assert torch.equal(found.bits == 1, torch.from_numpy(cloth >= 128))
        assert "12 pictures of clothes" in found.notes[0]
        assert "Fashion-MNIST" in found.notes[0]

    def test_cifar10_keeps_its_colours_on_request(self, openml):
        colours, labels = sets()["cifar10"]
        found = data.load("cifar10", colour=True)
        assert (found.shape, found.real.shape) == ((32, 32, 3), (12, 3072))
        assert found.labels.tolist() == labels
        pictures = found.real.reshape(12, *found.shape).numpy()
        # OpenML has the planes of a picture one after the other.
        planes = colours.reshape(12, 3, 32, 32)
        for colour in range(3):
            np.testing.assert_allclose(
                pictures[..., colour], planes[:, colour] / 127.5 - 1, atol=1e-6
            )
        bound = np.sort(colours, axis=1)[:, [1536]]
        assert torch.equal(
            found.bits.reshape(12, 32, 32, 3) == 1,
            torch.from_numpy((planes >= bound[..., None, None]).transpose(0, 2, 3, 1)),
        )
        assert "in red, green and blue" in found.notes[0]
        assert data.load("cifar10", colour=False).shape == (32, 32)

    def test_cifar10_is_made_grey_as_pillow_does(self, openml):
        from PIL import Image

        colours, labels = sets()["cifar10"]
        found = data.load("cifar10")
        assert (found.name, found.shape, found.real.shape) == ("cifar10", (32, 32), (12, 1024))
        assert [found.classes[label] for label in found.labels[:4]] == [
            "dog",
            "airplane",
            "deer",
            "automobile",
        ]
        assert found.labels.tolist() == labels
        for row, planes in zip(found.real, colours.reshape(12, 3, 32, 32), strict=True):
            pillow = np.asarray(
                Image.fromarray(planes.transpose(1, 2, 0).astype(np.uint8)).convert("L"),
                dtype=float,
            )
            assert np.abs((row.reshape(32, 32).numpy() + 1) * 127.5 - pillow).max() < 0.51, (
                "Pillow rounds to whole levels"
            )
        red, green, blue = colours[3].reshape(3, 1024)
        grey = 0.299 * red + 0.587 * green + 0.114 * blue
        np.testing.assert_allclose(found.real[3].numpy(), grey / 127.5 - 1, atol=1e-6)
        assert "BT.601" in found.notes[0]
        # The upper median is the 513th of 1,024 from below, so half of the bits or more are +1.
        assert torch.equal(found.bits[3] == 1, torch.from_numpy(grey >= np.sort(grey)[512] - 1e-9))

    def test_equal_colours_are_equally_grey(self, openml):
        flat = np.tile(np.arange(1, 253, 21).reshape(12, 1), (1, 3072))
        openml.files |= files("cifar10", flat, [0] * 12)
        found = data.load("cifar10")
        assert all(len(row.unique()) == 1 for row in found.real)
        np.testing.assert_allclose(found.real[:, 0].numpy(), flat[:, 0] / 127.5 - 1, atol=1e-6)

    @pytest.mark.parametrize("name", data.DOWNLOADED)
    def test_a_seed_chooses_patterns(self, name, openml):
        whole, part, again, other = (
            data.load(name, patterns=many, seed=seed)
            for many, seed in ((None, 0), (5, 3), (5, 3), (5, 4))
        )
        assert torch.equal(part.real, again.real)
        assert torch.equal(part.labels, again.labels)
        assert not torch.equal(part.real, other.real)
        places = [int((whole.real == row).all(1).nonzero()) for row in part.real]
        assert places == sorted(places)
        assert len(places) == 5
        assert part.labels.tolist() == whole.labels[places].tolist()
        with pytest.raises(InputError, match="at most the 12 patterns"):
            data.load(name, patterns=13)

    def test_threshold_and_domain(self, openml):
        ink = sets()["mnist"][0]
        assert torch.equal(
            data.load("mnist", threshold=200).bits == 1, torch.from_numpy(ink >= 200)
        )
        assert data.load("mnist", domain="real").bits is None
        assert set(data.load("mnist", domain="bits").real.unique().tolist()) == {-1, 1}

    def test_without_scikit_learn(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
        with pytest.raises(
            InputError, match=r"'mnist', which needs scikit-learn; .*kanerva\[data\]"
        ):
            data.load("mnist")

    def test_named_apart_from_the_sets_that_are_here(self):
        assert data.DOWNLOADED == ("mnist", "fashion", "cifar10")
        assert not set(data.DOWNLOADED) & set(data.SETS)
        with pytest.raises(
            InputFileError,
            match=r"random \(or, downloaded: mnist, fashion, cifar10\), or give the path",
        ):
            data.load("mnst")


class TestCache:
    @pytest.mark.parametrize("name", data.DOWNLOADED)
    def test_fetched_once_and_then_without_a_network(self, name, openml, cache, reach):
        assert openml.asked == []
        first = data.load(name)
        assert sorted(openml.asked) == sorted(files(name, *sets()[name]))
        assert len(kept(cache)) == 5
        reach(None)
        again = data.load(name)
        assert torch.equal(first.real, again.real)
        assert torch.equal(first.labels, again.labels)

    def test_kept_where_others_that_use_scikit_learn_look(self, openml, cache, reach):
        from sklearn.datasets import fetch_openml

        data.load("mnist")
        reach(None)
        assert fetch_openml(
            "mnist_784", version=1, as_frame=False, parser="liac-arff"
        ).data.shape == (12, 784)

    @pytest.mark.parametrize("spoil", SPOILT)
    @pytest.mark.parametrize("which", range(5))
    def test_a_spoilt_copy(self, which, spoil, openml, cache, reach, monkeypatch):
        monkeypatch.setattr(time, "sleep", lambda _: None)  # between the tries of scikit-learn
        whole, content = data.load("mnist"), SPOILT[spoil]
        kept(cache)[which].write_bytes(content)
        assert torch.equal(data.load("mnist").real, whole.real), "fetched again"
        kept(cache)[which].write_bytes(content)
        reach(None)
        refused(UNREACHABLE)

    def test_a_copy_of_something_else(self, openml, cache):
        for values in (
            np.full((3, 784), 256),
            np.full((3, 784), -1),
            np.ones((3, 700), dtype=int),
            np.ones((1, 784), dtype=int),
        ):
            openml.files |= files("mnist", values, [1] * len(values))
            sentence = refused("not pictures of 784 numbers")
            assert f"'{cache}/openml'" in sentence
            for path in kept(cache):
                path.unlink()

    def test_json_that_says_something_else(self, openml):
        openml.files["/api/v1/json/data/554"] = b'{"data_set_description": {}}'
        refused("KeyError")

    def test_a_place_that_cannot_be_written(self, openml, monkeypatch, tmp_path):
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "file"))
        assert "setting SCIKIT_LEARN_DATA" in refused(str(tmp_path / "file"))


class TestNetwork:
    @pytest.mark.parametrize("name", data.DOWNLOADED)
    def test_none(self, name, cache, reach):
        reach(None)
        start = time.monotonic()
        sentence = refused(UNREACHABLE, name)
        assert "check the connection, use 'digits'" in sentence
        assert "Name or service not known" in sentence
        assert ".npz" in sentence
        assert time.monotonic() - start < 5
        assert kept(cache) == []

    def test_a_silent_server(self, openml, cache, monkeypatch):
        monkeypatch.setattr(_openml, "PATIENCE", 0.2)
        openml.status = "silence"
        start = time.monotonic()
        refused(UNREACHABLE)
        assert time.monotonic() - start < 5
        assert kept(cache) == []
        assert socket.getdefaulttimeout() is None, "put back as it was"

    @pytest.mark.parametrize("status", [404, 412, 500, 503])
    def test_a_server_that_refuses(self, status, openml, cache):
        openml.status = status
        refused(
            "OpenMLError" if status == 412 else f"{UNREACHABLE} (HTTPError: HTTP Error {status}"
        )
        assert kept(cache) == []

    def test_a_fetch_cut_short(self, openml, cache):
        openml.cut = 60
        refused("which could not be")
        openml.cut = None
        assert len(data.load("mnist").real) == 12, (
            "nothing in the cache stands in the way of another try"
        )

    def test_a_connection_lost(self, openml, cache):
        data.load("cifar10")
        before = kept(cache)
        openml.shutdown()
        openml.server_close()
        refused(UNREACHABLE)
        assert kept(cache) == before

    def test_the_command(self, ran, reach, monkeypatch, tmp_path):
        """A proxy on a port where nothing listens stands for no network."""
        for name in ("https_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.setenv(name, "")
        monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "home"))
        start = time.monotonic()
        code, out, error = ran("recall", "mnist")
        assert (code, out) == (2, ""), error
        assert re.match(
            r"^kanerva: data\.load: source must be .+ OpenML could not be reached .+; [^;]+\.\n$",
            error,
        ), error
        assert time.monotonic() - start < 30, "a second, and the imports"
        assert kept(tmp_path) == []
