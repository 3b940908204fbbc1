"""Signatures and policies: which bundles start, which do not, and what is said. As root and as an
ordinary user, with an /etc of the test's own."""

import contextlib
import json
import os
import subprocess
import unittest

import support
from support import signing
from support.signing import Forgery, Key

OPS, DEV = "ops@example.org", "dev@example.org"
# The word is in a file of its own, so that a forger finds it.
CODE = """
import pathlib

def main():
    print(pathlib.Path(__file__).with_name("word.txt").read_text())

def evil():
    print("forgery")
"""
FILES = {"signed.py": CODE, "word.txt": "genuine"}


def app():
    return support.app("signed", FILES, "-e", "signed:main", "--uncompressed")


class SignatureCase(support.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.key, cls.other = Key(), Key()

    def signed(self, *keys):
        bundle = signing.copy(app())
        for key in keys or (self.key,):
            key.sign(bundle)
        return bundle

    def allowed_signers(self, *lines):
        file = support.unique_dir("signers") / "allowed_signers"
        file.write_text("".join(f"{line}\n" for line in lines))
        return file

    def starts(self, command, mode, **env):
        done = support.run(command, mode=mode, env=support.clean_env(**env))
        self.assertEqual((done.returncode, done.stderr, done.stdout), (0, "", "genuine\n"))

    def refused(self, command, mode, *parts, **env):
        done = support.run(command, mode=mode, env=support.clean_env(**env))
        self.assertEqual((done.returncode, done.stdout), (125, ""), done.stderr)
        self.assertOneLine(done.stderr, *parts)


class TestSign(SignatureCase):
    """Without a policy: what haft and ssh-keygen make of each other's signatures."""

    def test_ssh_keygen_accepts_what_haft_has_signed(self):
        bundle = self.signed()
        (blob,) = signing.signatures(bundle)
        signature = support.unique_dir() / "signature"
        signature.write_text(signing.armoured(blob))
        command = ["ssh-keygen", "-Y", "verify", "-n", "haft", "-I", OPS, "-s", signature, "-f"]
        root = support.haft("root", bundle).stdout
        for line, status in ((f"{OPS} {self.key.line}", 0), (f"{OPS} {self.other.line}", 255)):
            done = support.run([*command, self.allowed_signers(line)], input=root)
            self.assertEqual(done.returncode, status, done.stderr)

    def test_haft_accepts_what_ssh_keygen_has_signed(self):
        bundle = signing.copy(app())
        text = self.key.signature(support.haft("root", bundle).stdout)
        signature = support.unique_dir() / "sig"
        signature.write_text(text)
        support.haft("sign", "--attach", signature, bundle)
        self.assertEqual(signing.signatures(bundle), [signing.without_armour(text)])
        self.verifies(bundle, OPS)
        self.assertEqual(bundle.read_bytes(), self.signed().read_bytes())

    def verifies(self, bundle, who, *more, lines=None, status=0, says=""):
        lines = lines or [f"{OPS} {self.key.line}", f"{DEV} {self.other.line}"]
        options = ("--signer", who, "--allowed-signers", self.allowed_signers(*lines), *more)
        done = support.haft("verify", *options, bundle, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertIn(says, done.stderr if status else done.stdout)

    def test_signing_changes_nothing_but_the_area(self):
        before, bundle = app().read_bytes(), self.signed(self.key, self.other)
        after = bundle.read_bytes()
        end = len(before) - 384
        self.assertEqual(len(before), len(after))
        self.assertEqual(before[: end - 4096], after[: end - 4096])
        self.assertEqual(before[end:], after[end:])
        self.assertEqual(len(signing.signatures(bundle)), 2)
        for who, key in ((OPS, self.key), (DEV, self.other)):
            self.verifies(bundle, who, says=key.fingerprint())
        self.key.sign(bundle)  # once more: nothing
        self.assertEqual(bundle.read_bytes(), after)

    def test_verify_says_what_is_wrong_with_a_signature(self):
        bundle = self.signed()
        line = self.key.line
        self.verifies(signing.copy(app()), OPS, status=1, says="not signed; ")
        self.verifies(bundle, DEV, status=1, says=f"signed by '{OPS}', not by '{DEV}'")
        self.verifies(bundle, OPS, lines=["x " + self.other.line], status=1, says="an unknown key")
        self.verifies(
            bundle, OPS, lines=[f'{OPS} valid-before="20200101" {line}'], status=1, says="expired"
        )
        self.verifies(
            bundle, OPS, lines=[f'{OPS} namespaces="git" {line}'], status=1, says="an unknown key"
        )
        self.verifies(
            bundle, OPS, lines=[f"{OPS} cert-authority {line}"], status=1, says=":1: cert-authority"
        )
        revoked = self.allowed_signers(line)
        self.verifies(bundle, OPS, "--revoked-keys", revoked, status=1, says="a revoked key")

    def test_a_flipped_bit_of_a_signature_is_found_without_asking_for_a_signer(self):
        whole = self.signed()
        (blob,) = signing.signatures(whole)
        for at in range(0, len(blob), 7):
            changed = bytearray(blob)
            changed[at] ^= 1
            bundle = signing.put_area(whole, signing.area_of(changed))
            done = support.haft("verify", bundle, check=False)
            self.assertEqual(done.returncode, 1, f"byte {at}: {done.stdout}")
            self.assertOneLine(done.stderr)

    def test_a_key_that_haft_cannot_check_signs_nothing(self):
        bundle = signing.copy(app())
        done = support.haft("sign", "--key", Key("ecdsa").path, bundle, check=False)
        self.assertEqual((done.returncode, signing.signatures(bundle)), (1, []))
        self.assertOneLine(done.stderr, "'ecdsa-sha2-nistp256', which haft cannot check")

    def test_refuses_to_attach_what_is_not_a_signature_of_this_bundle(self):
        bundle = signing.copy(app())
        signature = support.unique_dir() / "sig"
        root = support.haft("root", bundle).stdout
        for text, why in (
            (self.key.signature("other"), "of other bytes"),
            (self.key.signature(root, "file"), "made for namespace 'file'"),
            (self.key.signature(root)[:-40], "not a signature"),
            ("", "not a signature"),
        ):
            signature.write_text(text)
            done = support.haft("sign", "--attach", signature, bundle, check=False)
            self.assertEqual((done.returncode, signing.signatures(bundle)), (1, []))
            self.assertOneLine(done.stderr, why)

    def test_an_agent_signs_with_its_key(self):
        socket = support.unique_dir() / "agent"
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
        try:
            self.assertTrue(support.wait_until(socket.exists))
            env = support.clean_env(SSH_AUTH_SOCK=str(socket))
            key = Key()
            subprocess.run(["ssh-add", "-q", key.path], env=env, check=True)
            key.path.unlink()
            bundle = signing.copy(app())
            support.haft("sign", "--key", key.public, bundle, env=env)
        finally:
            agent.terminate()
            agent.wait()
        self.verifies(bundle, "x", lines=["x " + key.line], says=key.fingerprint())

    def test_a_running_bundle_is_not_signed(self):
        bundle = signing.copy(support.lab())
        with support.start(
            [bundle, "input()"], stdin=subprocess.PIPE, env=support.clean_env()
        ) as process:
            done = support.haft("sign", "--key", self.key.path, bundle, check=False)
            process.communicate(b"\n")
        self.assertOneLine(done.stderr, "sign a copy: this one is running")


@unittest.skipUnless(os.environ.get("E2E_ISOLATED"), "has an /etc of its own")
class TestPolicy(SignatureCase):
    def setUp(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        self.etc = stack.enter_context(self.covered("/etc", copy=True)) / "haft"
        self.etc.mkdir(exist_ok=True)

    def write(self, directory=None, **files):
        """policy="always" or a dictionary, allowed=[lines], revoked=[lines]."""
        directory = directory or self.etc
        directory.mkdir(parents=True, exist_ok=True)
        for name, value in files.items():
            file = {"policy": "policy.json", "revoked": "revoked_keys"}.get(name, "allowed_signers")
            policy = {"require": value} if isinstance(value, str) else value
            text = json.dumps(policy) if name == "policy" else "".join(f"{v}\n" for v in value)
            (directory / file).write_text(text)
            (directory / file).chmod(0o644)

    def demand(self, **files):
        """A policy that wants OPS, who has the key."""
        self.write(
            policy={"require": "always", "signers": [OPS]},
            allowed=[f"{OPS} {self.key.line}", f"{DEV} {self.other.line}"],
        )
        self.write(**files)

    def test_only_what_is_signed_starts(self, mode):
        self.demand()
        self.starts([self.signed()], mode)
        self.starts([self.signed(self.other, Key(), self.key)], mode)
        self.starts([support.HAFT, "run", self.signed()], mode)
        unsigned = signing.copy(app())
        for command in (
            [unsigned],
            [support.HAFT, "run", unsigned],
            [support.HAFT, "exec", unsigned, "true"],
        ):
            self.refused(command, mode, f"'{unsigned}': not signed (/etc/haft/policy.json asks")
        self.write(policy="never")
        self.starts([unsigned], mode)

    def test_an_archive_is_not_signed(self, mode):
        archive = support.unique_dir(mode=0o755) / "app.pyz"
        tree = support.write_tree(support.unique_dir(), {"__main__.py": "print('genuine')"})
        subprocess.run([support.PYTHON, "-m", "zipapp", tree, "-o", archive], check=True)
        self.starts([support.HAFT, "run", archive], mode)
        self.demand()
        self.refused([support.HAFT, "run", archive], mode, "not signed")

    def test_the_environment_asks_for_a_signature(self, mode):
        self.starts([app()], mode, HAFT_REQUIRE_SIGNATURE="0")
        self.refused([app()], mode, "not signed", HAFT_REQUIRE_SIGNATURE="1")
        self.refused([self.signed()], mode, "an unknown key", HAFT_REQUIRE_SIGNATURE="1")
        self.write(allowed=[f"{OPS} {self.key.line}"])
        self.starts([self.signed()], mode, HAFT_REQUIRE_SIGNATURE="1")
        self.demand()
        self.refused([app()], mode, "not signed", HAFT_REQUIRE_SIGNATURE="0")

    def test_each_refusal_says_why(self, mode):
        self.demand()
        bundle, line = self.signed(), self.key.line
        self.refused([self.signed(self.other)], mode, f"signed by '{DEV}', not by '{OPS}'")
        self.refused([self.signed(Key())], mode, "signed with an unknown key, SHA256:")
        for options, why in (
            ('valid-before="20200101" ', f"signed by '{OPS}', whose key has expired"),
            ('valid-after="29990101Z" ', f"signed by '{OPS}', whose key is not valid yet"),
            ('namespaces="git" ', "signed with an unknown key"),
            ("cert-authority ", "allowed_signers:1: cert-authority"),
            ("no-such-option ", "allowed_signers:1: 'no-such-option': unknown option"),
        ):
            self.demand(allowed=[f"{OPS} {options}{line}"])
            self.refused([bundle], mode, why)
        self.demand(revoked=[line])
        self.refused([bundle], mode, f"signed with a revoked key, {self.key.fingerprint()}")

    def test_a_signature_of_something_else_is_none(self, mode):
        self.demand()
        (of_other,) = signing.signatures(self.key.sign(signing.copy(support.lab())))
        bundle = signing.copy(app())
        root = support.haft("root", bundle).stdout
        (good,) = signing.signatures(self.signed())
        for_git = signing.without_armour(self.key.signature(root, "git"))
        for blob, why in (
            (of_other, "its signature is wrong"),
            (for_git, "signed for namespace 'git', not for haft"),
            (good[:-1], "signature is damaged"),
            (good[:60], "signature is damaged"),
            (good[:-1] + bytes([good[-1] ^ 1]), "its signature is wrong"),
            (b"x", "signature is damaged"),
        ):
            self.refused([signing.put_area(bundle, signing.area_of(blob))], mode, why)
        for area in (b"\0\0\0\0x", signing.area_of(good) + b"\0" * 99 + b"x", b"\xff" * 16):
            self.refused([signing.put_area(bundle, area)], mode, "signatures: damaged")
        area = signing.area_of(of_other, for_git, good[:-1], good)
        self.starts([signing.put_area(bundle, area)], mode)

    @support.parametrised(part=["block", "name", "manifest"], command=["start", "run"])
    def test_a_forgery_with_a_root_that_holds_is_refused(self, part, command):
        forged = self.forge(part, root=True)
        self.assertIn(": good: ", support.haft("verify", app()).stdout)
        for mode in support.MODES:
            words = [support.HAFT, "run", forged] if command == "run" else [forged]
            done = support.run(words, mode=mode)
            if part != "manifest":  # the name of the function is in the start's script, too
                self.assertNotEqual(done.stdout, "genuine\n", "nothing was forged")
            self.demand()
            self.refused(words, mode, "its signature is wrong")
            self.write(policy="never")
        done = support.haft("verify", forged, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("is not one of this bundle\n", done.stderr)

    @support.parametrised(part=["block", "name", "manifest"])
    def test_a_forgery_under_the_signed_root_is_refused(self, part, mode):
        self.demand()
        self.refused([self.forge(part, root=False)], mode, "the trailer is damaged")

    def forge(self, part, root):
        bundle = signing.copy(app())
        self.key.sign(bundle)
        forgery = Forgery(bundle)
        if part == "block":
            forgery.change_block("genuine", "forgery")
        elif part == "name":
            forgery.change_name("word.txt", "none.txt")
        else:
            forgery.change_manifest('"main"', '"evil"')
        return forgery.write(root)

    @support.parametrised(name=["policy.json", "allowed_signers", "revoked_keys", ""])
    def test_a_file_that_others_can_change_ends_the_start(self, name, mode):
        self.demand(revoked=[self.other.line])
        bundle = self.signed()
        path = self.etc / name
        usual = path.stat().st_mode
        self.starts([bundle], mode)
        path.chmod(usual | 0o022)
        self.refused([bundle], mode, f"'{path}': others may write to it")
        path.chmod(usual)
        os.chown(path, 4711, 0)
        self.refused([bundle], mode, f"'{path}': belongs to user 4711")

    def test_a_policy_that_cannot_be_read_or_understood_ends_the_start(self, mode):
        bundle = self.signed()
        for text in ("", "{}", '{"require": "sometimes"}', '{"require": "never", "x": 1}'):
            (self.etc / "policy.json").write_text(text)
            self.refused([bundle], mode, "'/etc/haft/policy.json': ")
        (self.etc / "policy.json").unlink()
        (self.etc / "policy.json").symlink_to("nowhere")
        self.refused([bundle], mode, "/etc/haft/nowhere': No such file")
        (self.etc / "policy.json").unlink()
        (self.etc / "policy.json").mkdir()
        self.refused([bundle], mode, "'/etc/haft/policy.json': not a regular file")

    def test_a_policy_that_the_user_cannot_read_ends_the_start(self):
        self.demand()
        self.etc.chmod(0o700)
        self.refused([self.signed()], "userns", "/etc/haft/policy.json': Permission denied")

    def test_a_user_can_only_tighten(self):
        home = support.PERSON.own(support.unique_dir("home", 0o755))
        own, environment = home / ".config" / "haft", {"HOME": str(home)}
        bundle = self.signed(self.key)
        self.write(own, policy="never", allowed=[f"me {self.other.line}"])
        self.demand()
        self.refused([signing.copy(app())], "userns", "not signed", **environment)
        self.refused([self.signed(self.other)], "userns", f"'{DEV}', not by '{OPS}'", **environment)
        self.starts([bundle], "userns", **environment)
        self.write(own, policy={"require": "always", "signers": ["me"]})
        self.refused([bundle], "userns", f"'{OPS}', not by 'me'", **environment)
        self.starts([self.signed(self.key, self.other)], "userns", **environment)
        self.starts([bundle], "namespace", **environment)  # root has none of his own
        (own / "policy.json").chmod(0o666)
        self.refused(
            [bundle], "userns", f"{own}/policy.json': others may write to it", **environment
        )

    def test_a_user_asks_for_signatures_of_his_own(self):
        settings = support.unique_dir("settings", 0o755)
        own = settings / "haft"
        environment = {"XDG_CONFIG_HOME": str(settings)}
        self.write(own, policy="always", allowed=[f"me {self.other.line}"])
        self.refused([app()], "userns", "not signed", **environment)
        self.refused([self.signed()], "userns", "an unknown key", **environment)
        self.starts([self.signed(self.other)], "userns", **environment)
        self.starts([app()], "userns", HOME="/nonexistent")
        self.starts([app()], "userns", HOME="/root")

    def test_a_build_is_not_asked(self):
        self.demand()
        tree = support.write_tree(support.unique_dir(), FILES)
        built = support.build(tree, "-e", "signed:main", output=support.unique_dir() / "signed")
        self.refused([built], "namespace", "not signed")

    def test_without_a_policy_a_start_only_looks_for_one(self, mode):
        calls = self.calls_about_policies(app(), mode)
        looks = 1 if mode == "namespace" else 2
        self.assertEqual(len(calls), looks, calls)
        for call in calls:
            self.assertIn("ENOENT", call)

    def calls_about_policies(self, bundle, mode):
        log = support.user_in(mode).own(support.unique_dir("strace")) / "log"
        support.run(["strace", "-o", log, bundle], mode=mode, check=True)
        return [line for line in log.read_text().splitlines() if "haft/policy" in line]
