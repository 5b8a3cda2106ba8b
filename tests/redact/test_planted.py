"""Over 300 secrets, in every form that is known, through every door: none is on the other side."""

import io
import json
import random
import string
from pathlib import Path
from types import SimpleNamespace

from jfsnb.notebook import door
from jfsnb.redact import learn_secret, redact, redact_lines
from jfsnb.run.state import atomic
from jfsnb.terminal import Door

FORMS = (Path(__file__).parent / "forms.txt").read_text(encoding="utf-8").splitlines()


def planted():
    """(secret, text that holds it): each form three times, with another secret each."""
    random_ = random.Random(13)
    found = []
    for number, form in enumerate(FORMS * 3):
        secret = f"Pl{number}x{''.join(random_.choices(string.ascii_letters + string.digits, k=8))}"
        found.append((secret, form.replace("\\n", "\n").replace("S3cr3t9", secret)))
    return found


def packed(value):
    """What a kernel sends."""
    session = SimpleNamespace(pack=lambda part: json.dumps(part).encode())
    door.guard(SimpleNamespace(kernel=SimpleNamespace(session=session)))
    return session.pack({"data": {"text/plain": value}}).decode()


def test_none_of_them_passes_a_door(tmp_path):
    all_ = planted()
    assert len(all_) > 300 and len(FORMS) >= 40
    terminal = io.StringIO()
    for secret, text in all_:
        print(text, file=Door(terminal))
        with atomic(tmp_path / f"{secret[:6]}.json") as sink:
            json.dump(redact({"reason": text, "rows": [{"message": text}]}), sink)
        (tmp_path / f"{secret[:6]}.kernel").write_text(packed(text), encoding="utf-8")
        (tmp_path / f"{secret[:6]}.log").write_text("\n".join(redact_lines([text])), encoding="utf-8")
    left = terminal.getvalue() + "".join(p.read_text(encoding="utf-8") for p in tmp_path.iterdir())
    assert [text for secret, text in all_ if secret in left] == []


def test_values_of_secrets_that_were_read_pass_no_door_even_alone(tmp_path):
    all_ = planted()
    learn_secret({f"key{n}": secret for n, (secret, _) in enumerate(all_)}, encoded=False)
    terminal = io.StringIO()
    for secret, _ in all_:
        print(f"it said {secret} and went on", file=Door(terminal))
        terminal.write(packed(f"<td>{secret}</td>"))
    assert [secret for secret, _ in all_ if secret in terminal.getvalue()] == []
