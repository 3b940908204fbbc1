"""The user a server's workers become, and what that user may do."""

import os

from _haft_web import Refusal


class Identity:
    """A user and a group by number, with their names. `changes`: it is not who we are."""

    def __init__(self, user, group):
        """What --user and --group say; None: not given."""
        self.uid, self.gid = os.geteuid(), os.getegid()
        self.user, self.group = None, None
        if user is not None:
            entry = _user(user)
            self.uid, self.gid, self.user = entry.pw_uid, entry.pw_gid, entry.pw_name
        if group is not None:
            self.gid = _group(group)
            self.group = group
        self.changes = (self.uid, self.gid) != (os.geteuid(), os.getegid())
        if self.changes and os.geteuid() != 0:
            option = "--user" if self.uid != os.geteuid() else "--group"
            raise Refusal(
                "%s: only root can become another one; leave it out or start it as root" % option
            )
        if self.changes and self.user is None:
            raise Refusal("--group: which user?; give --user as well")

    def become(self):
        """Changes this process. OSError if it cannot, as in a user namespace that has no such user."""
        if not self.changes:
            return
        os.setgroups(os.getgrouplist(self.user, self.gid))
        os.setgid(self.gid)
        os.setuid(self.uid)

    def first_problem(self, checks):
        """What the first failing check says when this user runs it; None if all is well.

        A check is a function that returns None or a text. They run in a child: no way leads back to root.
        """
        if not self.changes:
            return next(filter(None, (check() for check in checks)), None)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            problem = "checks failed"
            try:
                try:
                    self.become()
                    problem = next(filter(None, (check() for check in checks)), None)
                except OSError as error:
                    problem = (
                        "user '%s': cannot become it: %s; start the bundle as the host's root"
                        % (self.user, error.strerror)
                    )
            finally:
                os.write(writer, os.fsencode(problem or ""))
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            problem = os.fsdecode(pipe.read())
        os.waitpid(child, 0)
        return problem or None


def _user(name):
    import pwd

    try:
        return pwd.getpwnam(name)
    except KeyError:
        pass
    try:
        return pwd.getpwuid(int(name.lstrip("#")))
    except (KeyError, ValueError, OverflowError):
        raise Refusal(
            "--user %s: there is no such user; see /etc/passwd or create it" % ascii(name)
        ) from None


def _group(name):
    import grp

    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        pass
    try:
        return grp.getgrgid(int(name.lstrip("#"))).gr_gid
    except (KeyError, ValueError, OverflowError):
        raise Refusal(
            "--group %s: there is no such group; see /etc/group or create it" % ascii(name)
        ) from None


def usual_checks(options, root):
    """What every server needs: it can enter the working directory, and read Python and the bundle."""

    def working_directory():
        try:
            os.chdir(options.working_directory)
        except OSError as error:
            return (
                "working directory '%s': %s; use --working-directory DIR with one %s may enter, as in "
                "--working-directory /" % (options.working_directory, error.strerror, _who())
            )
        return None

    def readable(what, path, remedy):
        def check():
            try:
                with open(path, "rb"):
                    return None
            except OSError as error:
                return "%s '%s': %s cannot read it: %s; %s" % (
                    what,
                    path,
                    _who(),
                    error.strerror,
                    remedy,
                )

        return check

    return [
        working_directory,
        readable("Python", os.__file__, "use a Python in a place that is open to all"),
        readable(
            "mount",
            os.path.join(root, ".haft", "py", "_haft.py"),
            "start the bundle as root or without --user",
        ),
    ]


def _who():
    import pwd

    try:
        return "user '%s'" % pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return "user %d" % os.geteuid()
