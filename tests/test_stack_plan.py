"""What `ft up` would start, without starting it."""

import http.server
import threading

from ft_assets.settings import load_platform
from ft_assets.stack import Stack, free_port


class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        pass


def test_each_process_is_ready_when_its_own_address_answers(tmp_path):
    names = ("lakefs", "gateway", "dagster", "mlflow")
    lines = [f"  {name}: {{url: 'http://127.0.0.1:{free_port()}'}}" for name in names]
    file = tmp_path / "platform.yaml"
    file.write_text("\n".join(["domains: {a: {}}", "services:", *lines]))
    settings = load_platform(file)
    probes = {p.name: p.ready for p in Stack(file, settings).processes}
    served = {"lakefs": "lakefs", "gateway": "gateway", "webserver": "dagster", "mlflow": "mlflow"}
    assert served.keys() <= probes.keys()
    for process, service in served.items():
        assert not probes[process]()
        port = getattr(settings.services, service).port
        with http.server.HTTPServer(("127.0.0.1", port), Healthy) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            ready = {name for name in served if probes[name]()}
            server.shutdown()
            thread.join()
        assert ready == {process}
