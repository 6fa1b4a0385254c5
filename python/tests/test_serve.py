"""`cnn-codes serve` before real clients: Triton's, Prometheus' parser, schemathesis, and a browser."""

import csv
import io
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import urllib.request

import numpy as np
import pytest
from PIL import Image

import cnn_codes
from conftest import ROOT, SCRIPT



@pytest.fixture(scope="module")
def address(head):
    server = subprocess.Popen([SCRIPT, "serve", head, "--port", "0"], stdout=subprocess.PIPE, text=True)
    yield server.stdout.readline().strip().rstrip("/")
    server.terminate()
    assert server.wait(60) == 143


@pytest.fixture(scope="module")
def expected(head, files):
    loaded = cnn_codes.Head.load(head)
    return loaded, loaded.predict_proba(files[:3])


@pytest.mark.parametrize("binary", [True, False])
def test_tritons_client_is_answered(address, files, expected, binary):
    http = pytest.importorskip("tritonclient.http")
    client = http.InferenceServerClient(address.removeprefix("http://"))
    loaded, probabilities = expected
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("head")
    assert client.get_model_metadata("head")["outputs"][0]["shape"] == [-1, len(loaded.classes)]
    outputs = [http.InferRequestedOutput(name, binary_data=binary) for name in ("probabilities", "label")]
    image = http.InferInput("image", [3], "BYTES")
    image.set_data_from_numpy(np.array([file.read_bytes() for file in files[:3]], dtype=object), binary_data=True)
    for asked in (outputs, None):
        answer = client.infer("head", [image], outputs=asked)
        np.testing.assert_allclose(answer.as_numpy("probabilities"), probabilities, atol=1e-7)
        labels = [label.decode() if isinstance(label, bytes) else label for label in answer.as_numpy("label")]
        assert labels == list(loaded.predict(files[:3]))
    levels = np.asarray(Image.open(files[0]).convert("RGB"))[None]
    pixels = http.InferInput("pixels", levels.shape, "UINT8")
    pixels.set_data_from_numpy(levels, binary_data=binary)
    answer = client.infer("head", [pixels], outputs=outputs)
    np.testing.assert_allclose(answer.as_numpy("probabilities")[0], loaded.predict_proba(levels[0]), atol=1e-7)


def test_prometheus_reads_the_figures(address, files):
    parser = pytest.importorskip("prometheus_client.parser")
    urllib.request.urlopen(urllib.request.Request(f"{address}/predict", files[0].read_bytes(), method="PUT")).read()
    text = urllib.request.urlopen(f"{address}/metrics").read().decode()
    families = {family.name: family for family in parser.text_string_to_metric_families(text)}
    assert families["cnn_codes_requests"].type == "counter"
    assert sum(sample.value for sample in families["cnn_codes_pictures"].samples) >= 1
    buckets = [s.value for s in families["cnn_codes_batch_size"].samples if s.name.endswith("_bucket")]
    assert buckets == sorted(buckets) and buckets[-1] >= 1


def test_the_description_is_true(address, tmp_path):
    pytest.importorskip("schemathesis")
    schemathesis = pathlib.Path(sys.executable).with_name("schemathesis")
    done = subprocess.run(
        [schemathesis, "run", f"{address}/openapi.json", "--checks", "not_a_server_error,status_code_conformance,"
         "content_type_conformance,response_schema_conformance", "--max-examples", "20", "--seed", "1", "--phases",
         "examples,coverage,fuzzing", "--exclude-operation-id", "none"],
        cwd=tmp_path, capture_output=True, text=True, env=dict(os.environ, NO_COLOR="1"),
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]


def test_the_proxy_of_the_page_lets_users_in_and_others_not(address, files, tmp_path):
    nginx, openssl = shutil.which("nginx"), shutil.which("openssl")
    if nginx is None or openssl is None:
        pytest.skip("there is no nginx or openssl")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = re.search(r"```nginx\n(.*?)```", (ROOT / "docs/serve.md").read_text("utf-8"), flags=re.DOTALL)[1]
    config = config.replace("/etc/nginx", str(tmp_path)).replace("8443", f"127.0.0.1:{port}")
    config = config.replace("127.0.0.1:8000", address.removeprefix("http://"))
    places = "".join(f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (tmp_path / "nginx.conf").write_text(
        f"{'user root;' if os.getuid() == 0 else ''} daemon off; pid {tmp_path}/pid; error_log stderr;\nevents {{}}\nhttp {{ access_log off; {places} {config} }}\n"
    )
    subprocess.run([openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2",
                    "-keyout", tmp_path / "demo.key", "-out", tmp_path / "demo.crt"], check=True, capture_output=True)
    (tmp_path / "demo.users").write_text("me:{PLAIN}secret\n")
    proxy = subprocess.Popen([nginx, "-p", tmp_path, "-c", tmp_path / "nginx.conf"], stderr=subprocess.PIPE)
    try:
        def ask(*options):
            words = ["curl", "-sk", "--retry", "20", "--retry-connrefused", "--retry-delay", "1", "-w", " %{http_code}", *options]
            done = subprocess.run([*words, "-T", files[0], f"https://127.0.0.1:{port}/predict"], capture_output=True, text=True)
            return done.stdout
        assert ask().endswith(" 401")
        # As a browser on the page asks.
        told = ask("-u", "me:secret", "-H", f"Origin: https://127.0.0.1:{port}")
        assert told.endswith(" 200") and "birds" in told
    finally:
        proxy.terminate()
        proxy.wait(30)


# Drops files, as a person does with the mouse.
DROP = """([names, files]) => {
  const dropped = new DataTransfer();
  files.forEach((file, place) => dropped.items.add(new File([Uint8Array.from(atob(file), c => c.charCodeAt(0))], names[place])));
  document.getElementById("drop").dispatchEvent(new DragEvent("drop", { dataTransfer: dropped, bubbles: true }));
}"""


@pytest.mark.parametrize("width", [400, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_are_dropped_and_saved_as_a_table(address, browser, files, tmp_path, width, scheme):
    import base64

    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    told = []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.goto(address)
    names = ["<b>one</b>.jpg", "two.jpg", "broken.jpg"]
    content = [files[0].read_bytes(), files[7].read_bytes(), b"no picture"]
    page.evaluate(DROP, [names, [base64.b64encode(file).decode() for file in content]])
    page.get_by_text("3 of 3 pictures, 1 could not be used").wait_for()
    items = page.locator("#list > li")
    assert items.count() == 3
    # The name is text, and nothing of it is markup.
    assert items.nth(0).locator(".name").first.text_content() == "<b>one</b>.jpg" and page.locator("#list b").count() == 0
    assert "this is not a picture" in items.nth(2).text_content()
    assert "birds" in items.nth(0).text_content()
    # Its nearest training pictures, which load.
    near = items.nth(0).locator(".near img")
    near.nth(3).scroll_into_view_if_needed()
    page.wait_for_function("[...document.querySelectorAll('.near img')].every(picture => picture.naturalWidth > 0)")
    assert near.count() == 4
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.screenshot(path=os.environ.get("SCREENSHOTS", str(tmp_path)) + f"/serve-{width}-{scheme}.png", full_page=True)
    with page.expect_download() as download:
        page.keyboard.press("Tab")
        page.get_by_role("button", name="Save as CSV").press("Enter")
    rows = list(csv.DictReader(io.StringIO(pathlib.Path(download.value.path()).read_text("utf-8"))))
    assert sorted(row["path"] for row in rows) == sorted(names)
    by_name = {row["path"]: row for row in rows}
    assert by_name["<b>one</b>.jpg"]["class"] == "birds" and by_name["broken.jpg"]["error"]
    page.get_by_role("button", name="Clear").click()
    assert items.count() == 0
    # What Chromium says of an answer of 422 is no error of the page's.
    assert [text for text in told if "422" not in text] == []
    page.close()


def test_files_are_chosen_and_a_busy_server_is_asked_again(address, browser, files):
    page = browser.new_page()
    page.goto(address)
    page.locator("#files").set_input_files([str(file) for file in files[:5]])
    page.get_by_text("5 of 5 pictures").wait_for()
    n_refused = []

    def refuse_once(route):
        if not n_refused:
            n_refused.append(1)
            route.fulfill(status=503, headers={"Retry-After": "1"}, body="{}")
        else:
            route.continue_()

    page.route("**/predict**", refuse_once)
    page.locator("#files").set_input_files([str(files[5])])
    page.get_by_text("6 of 6 pictures").wait_for()
    assert n_refused and page.locator("#list .flag").count() == 0
    page.close()
