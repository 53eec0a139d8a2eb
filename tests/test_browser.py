"""MLflow's UI on a real sweep, in a real browser: what `python -m lctrain ui` lets people find.

LCTRAIN_SCREENSHOTS=docs renews the pictures that the README shows.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from made_sweeps import make_failure, make_parent, make_run

from lctrain.report.sweep import build_report

pytestmark = pytest.mark.slow
SWEEP = ("-m", "model=lc2d", "implementation=2,batched", "training.epochs=5")
SECONDS = 120
PART_AROUND = """
const holds = element => element.textContent.includes(arguments[0]);
const isPart = element => element.getBoundingClientRect().width < 0.7 * window.innerWidth;
const box = [...document.querySelectorAll('body *')].find(one => holds(one) && isPart(one)).getBoundingClientRect();
const within = (value, end) => Math.min(Math.max(value, 0), end);
return [within(box.left, innerWidth), within(box.top, innerHeight),
        within(box.right, innerWidth), within(box.bottom, innerHeight)];
"""
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
    *("--window-size=1600,1000", "--hide-scrollbars"),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A folder in which a small sweep was run."""
    folder = tmp_path_factory.mktemp("sweep")
    subprocess.run([sys.executable, "-m", "lctrain", *SWEEP], cwd=folder, check=True, capture_output=True, timeout=300)
    return folder


@pytest.fixture(scope="module")
def link(store):
    """What `ui` prints, while it serves."""
    command = [sys.executable, "-m", "lctrain", "ui"]
    with subprocess.Popen(command, cwd=store, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().split()[0]
        process.send_signal(signal.SIGINT)
        process.wait(60)


@pytest.fixture(scope="module")
def address(link):
    """Where the UI answers."""
    return link.partition("/#")[0]


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window."""
    paths = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in paths:
        pytest.skip("takes chromium and chromedriver: .ci/install-servers")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for flag in FLAGS:
        options.add_argument(flag)
    options.binary_location = paths[0]
    driver = webdriver.Chrome(options, webdriver.ChromeService(paths[1]))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def runs(address):
    """The sweep's own run, and its jobs by implementation."""
    body = json.dumps({"experiment_ids": ["1"]}).encode()
    request = urllib.request.Request(
        f"{address}/api/2.0/mlflow/runs/search", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        found = json.load(answer)["runs"]
    jobs, parents = {}, []
    for run in found:
        params = {one["key"]: one["value"] for one in run["data"].get("params", [])}
        is_job = any(tag["key"] == "mlflow.parentRunId" for tag in run["data"]["tags"])
        if is_job:
            jobs[params["implementation"]] = run["info"]["run_id"]
        else:
            parents.append(run["info"]["run_id"])
    (parent,) = parents
    return parent, jobs


def see(browser, url, *texts):
    """Opens a page and waits until it shows all of these texts; all that it shows."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    def shown(driver):
        text = driver.find_element(By.TAG_NAME, "body").text
        return text if all(one in text for one in texts) else False

    browser.get("about:blank")  # else a page of the same address but for its fragment is not loaded anew
    browser.get(url)
    return WebDriverWait(browser, SECONDS).until(shown, f"{url} shows not all of {texts}")


def keep(browser, name, tmp_path, around):
    """Takes a picture of the page's part around a text, which must not be blank, without what MLflow has beside it.

    It goes into the folder that the environment names, or a temporary one.
    """
    from PIL import Image

    folder = Path(os.environ.get("LCTRAIN_SCREENSHOTS", tmp_path))
    assert browser.save_screenshot(str(folder / name))
    left, top, right, bottom = browser.execute_script(PART_AROUND, around)
    with Image.open(folder / name) as picture:
        part = picture.convert("RGB").crop((round(left), round(top), round(right), round(bottom)))
    assert len(part.getcolors(2**24)) > 100
    part.save(folder / name)


def test_the_printed_link_leads_to_the_training_runs(browser, link):
    text = see(browser, link, "sweep-lc2d", "Duration")
    assert "Model registry" in text  # which the view for training has, and that for traces has not
    assert "Evaluation runs" not in text


def test_the_sweep_leads_to_its_jobs(browser, address, runs):
    parent, jobs = runs
    assert set(jobs) == {"2", "batched"}
    text = see(
        browser, f"{address}/#/experiments/1/runs/{parent}", "sweep-lc2d", "Child runs", "lc2d-2", "lc2d-batched"
    )
    assert "Use implementation " in text.partition("Description")[2]
    assert "jobs_done" in text
    assert "sweep.command\n: -m model=lc2d implementation=2,batched" in text


def test_a_job_shows_its_parameters(browser, address, runs, tmp_path):
    _, jobs = runs
    text = see(
        browser, f"{address}/#/experiments/1/runs/{jobs['batched']}", "Parameters (", "implementation", "test_accuracy"
    )
    assert "train_step_ms" in text
    assert re.search(r"Datasets\s+digits \(\w{12}\)\s+Training", text)
    keep(browser, "ui_run.png", tmp_path, "Parameters (")


def test_a_job_draws_its_metrics(browser, address, runs, tmp_path):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    _, jobs = runs
    see(browser, f"{address}/#/experiments/1/runs/{jobs['2']}/model-metrics", "Auto-refresh", "lc2d-2 (accuracy)")
    lines = WebDriverWait(browser, SECONDS).until(lambda driver: driver.find_elements(By.CSS_SELECTOR, "path.js-line"))
    assert any(line.get_attribute("d").count("L") >= 1 for line in lines)  # of several epochs
    keep(browser, "ui_metrics.png", tmp_path, "Auto-refresh")


def test_the_sweep_shows_its_report(browser, address, runs, tmp_path):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    parent, _ = runs
    see(browser, f"{address}/#/experiments/1/runs/{parent}/artifacts", "report.html", "comparison.png", "sweep.json")
    browser.find_element(By.XPATH, "//*[text()='report.html']").click()
    frame = WebDriverWait(browser, SECONDS).until(lambda driver: driver.find_elements(By.TAG_NAME, "iframe"))[0]
    browser.switch_to.frame(frame)
    text = WebDriverWait(browser, SECONDS).until(lambda driver: driver.find_element(By.TAG_NAME, "body").text)
    browser.switch_to.default_content()
    assert "batched" in text
    assert "test accuracy" in text.casefold()
    keep(browser, "ui_report.png", tmp_path, "report.html")


REPORTS = {
    "eight coinciding curves": [
        make_run(2 * i + j, name, ms=2.0 + i, params={"device.threads": str(1 + j)})
        for i, name in enumerate(("1", "2", "3", "batched"))
        for j in (0, 1)
    ],
    "100 jobs": [
        make_run(
            i, ("2", "batched")[i % 2], ms=2.0 + i, seed=i % 5, params={"optimizer.learning_rate": f"0.0{i // 10}"}
        )
        for i in range(100)
    ],
    "one job": [make_run(0, ms=2.0)],
    "all failed": [make_failure(i, name) for i, name in enumerate("123")],
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", REPORTS)
def test_the_report_fits_and_is_seen_in_light_and_dark(browser, tmp_path, name, scheme):
    page = tmp_path / "report.html"
    page.write_text(build_report(make_parent(len(REPORTS[name])), REPORTS[name]).html, encoding="utf-8")
    media = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
    size = {"width": 1300, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        text = see(browser, page.as_uri(), "Recommendation".upper(), "All jobs")
        widths = "return [...document.querySelectorAll('html, .scroll')].map(one => [one.scrollWidth, one.clientWidth])"
        assert all(content <= shown for content, shown in browser.execute_script(widths))
        sizes = "return [...document.images].map(one => one.naturalWidth)"
        assert all(browser.execute_script(sizes))
        ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert (max(map(int, re.findall(r"\d+", ground))) < 64) == (scheme == "dark")
        assert ("Nothing to recommend" in text) == (name == "all failed")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
