"""Scenarios 9 and 10: data files, metadata and compiled code are found and used as in a plain
directory."""

import datetime
import http.server
import ipaddress
import ssl
import subprocess
import threading

import support
from support.scenario_trees import DATA, METADATA, READ

SECONDS = 40


def authority():
    """(certificate, private key, certificate of the server "localhost" signed by it, its key), all
    PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def name(text):
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    def certificate(subject, key, signer, *extensions):
        now = datetime.datetime.utcnow()
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("haft test authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(1))
            .not_valid_after(now + datetime.timedelta(30))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    signer, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = certificate(
        "haft test authority", signer, signer, x509.BasicConstraints(ca=True, path_length=None)
    )
    names = x509.SubjectAlternativeName(
        [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    )
    server = certificate("localhost", key, signer, names)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return root, server, pem


BOTH = support.Both("data", DATA, "-e", "probe:main")


SETUPTOOLS = """
import warnings
warnings.simplefilter("ignore")
import pkg_resources as r
print(r.resource_filename("pkg", "x.json"), r.resource_string("pkg", "deep/er/file.txt"))
print(r.resource_exists("pkg", "templates"), r.resource_isdir("pkg", "deep"),
    sorted(r.resource_listdir("pkg", "deep")))
print(r.get_distribution("Mixed-Case"), r.get_distribution("old").version, r.require("Mixed-Case"))
print(r.load_entry_point("Mixed-Case", "pkg.plugins", "one"),
    [str(p) for p in r.iter_entry_points("pkg.plugins")])
print(r.require("Mixed-Case[fast]")[-1].project_name, r.working_set.by_key["mixed-case"].location
      if "mixed-case" in r.working_set.by_key else r.get_distribution("Mixed-Case").location)
"""

WRITE = """
import errno, pkg, shutil, tempfile
here = os.path.dirname(pkg.__file__)
print(os.access(here, os.W_OK), os.access(here + "/x.json", os.W_OK),
    os.access(here + "/x.json", os.R_OK))
def attempt(what, *arguments):
    try:
        what(*arguments)
        print(what.__name__, "worked")
    except OSError as error:
        print(what.__name__, errno.errorcode[error.errno])
attempt(open, here + "/x.json", "a")
attempt(open, here + "/new", "w")
attempt(os.mkdir, here + "/new")
attempt(os.unlink, here + "/x.json")
attempt(os.rename, here + "/x.json", here + "/y.json")
attempt(os.chmod, here + "/x.json", 0o600)
attempt(os.utime, here + "/x.json")
attempt(os.symlink, "x", here + "/link")
attempt(tempfile.TemporaryFile, "w", -1, None, None, None, None, here)
"""


class TestData(support.ScenarioCase):
    """Scenario 9."""

    @support.parametrised(what=["READ", "METADATA", "SETUPTOOLS"])
    def test_read(self, what, mode):
        said = self.same(
            BOTH, {"READ": READ, "METADATA": METADATA, "SETUPTOOLS": SETUPTOOLS}[what], mode=mode
        )
        self.assertIn(
            {
                "READ": "[1, 2, 3]} SITE/pkg\n",
                "METADATA": "2.5 2.5 0.3\n",
                "SETUPTOOLS": "SITE/pkg/x.json b'deeper\\n'\n",
            }[what],
            said,
        )

    def test_read_in_a_child(self):
        code = (
            f"import subprocess, sys; subprocess.run([sys.executable, '-c', "
            f"{'import os' + READ!r}], check=True)"
        )
        self.same(BOTH, code, mode=support.MODES[-1])

    def test_write_is_EROFS(self, mode):
        with self.clean():
            done = support.run([BOTH.bundle, WRITE], mode=mode)
        self.assertEqual((done.stderr, done.returncode), ("", 0))
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0], "False False True")
        self.assertEqual([line.split()[1] for line in lines[1:]], ["EROFS"] * 9, done.stdout)

    def test_jinja_loaders(self, mode):
        code = (
            "import jinja2, os, pkg\n"
            "for loader in (jinja2.PackageLoader('pkg'),"
            " jinja2.FileSystemLoader(os.path.dirname(pkg.__file__) + '/templates')):\n"
            "    template = jinja2.Environment(loader=loader).get_template('page.html')\n"
            "    print(template.render(name='haft'), template.filename, loader.list_templates())\n"
            "print(jinja2.__file__)"
        )
        both = support.Both("jinja", [DATA, "python3-flask"], "-e", "probe:main")
        said = self.same(both, code, mode=mode)
        self.assertEqual(
            said.count("<b>HAFT</b> SITE/pkg/templates/page.html ['base.html', 'page.html']\n"), 2
        )
        self.assertTrue(said.endswith("SITE/jinja2/__init__.py\n"))

    def test_certificates_handed_to_curl(self, mode):
        """As certifi.where() is: a program of the system reads the file in the mount."""
        root, server, key = authority()
        files = {
            **support.PROBE,
            "trust/__init__.py": (
                "import atexit, contextlib, importlib.resources\n"
                "stack = contextlib.ExitStack()\natexit.register(stack.close)\n"
                "def where():\n"
                "    return str(stack.enter_context(importlib.resources.as_file("
                "importlib.resources.files('trust') / 'cacert.pem')))\n"
            ),
            "trust/cacert.pem": root,
        }
        directory = support.write_tree(support.unique_dir("tls"), {"server.pem": server + key})
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / "server.pem")
        httpd = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
        httpd.RequestHandlerClass.log_message = lambda *_: None
        httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        code = (
            "import subprocess, trust, ssl, urllib.request\n"
            f"url = 'https://localhost:{httpd.server_port}/nothing-here'\n"
            "curl = ['curl', '-s', '-o', '/dev/null', '-w', '%{http_code} "
            "%{ssl_verify_result}', '--noproxy', '*']\n"
            "done = subprocess.run([*curl, '--cacert', trust.where(), url], "
            "capture_output=True, text=True)\n"
            "print(trust.where(), done.stdout, done.stderr, done.returncode)\n"
            "try: urllib.request.build_opener(urllib.request.ProxyHandler({}), "
            "urllib.request.HTTPSHandler("
            "context=ssl.create_default_context(cafile=trust.where()))).open(url)\n"
            "except urllib.error.HTTPError as error: print(error.code)\n"
        )
        try:
            said = self.same(support.Both("trust", files, "-e", "probe:main"), code, mode=mode)
        finally:
            httpd.shutdown()
            thread.join()
            httpd.server_close()
        self.assertEqual(said, "SITE/trust/cacert.pem 404 0  0\n404\n")


# A library beside its package, found by $ORIGIN, as auditwheel puts it there; and an extension
# module, without Python's headers: the fields of a PyModuleDef.
DEPENDENCY = "int dependency_value(void) { return 42; }\n"
EXTENSION = """
extern int dependency_value(void);
extern void *PyModule_Create2(void *, int);
extern int PyModule_AddIntConstant(void *, const char *, long);
static struct { long references; void *type, *init; long index; void *copy;
                const char *name, *doc; long size;
                void *methods, *slots, *traverse, *clear, *free; }
    definition = {1, 0, 0, 0, 0, "_native", 0, -1};
__attribute__((visibility("default"))) void *PyInit__native(void) {
    void *module = PyModule_Create2(&definition, 1013);
    if (module) PyModule_AddIntConstant(module, "VALUE", dependency_value());
    return module;
}
"""
LARGE = """
.section .rodata
.globl large
.type large, @object
large: .fill {count}, 4, 0x6c6c616d
.size large, {size}
.section .note.GNU-stack,"",@progbits
"""
MAPS = (
    "for line in open('/proc/self/maps'):\n"
    "    if '.so' in line and ('/run/haft/' in line or 'site-packages' in line):\n"
    "        found.add(os.path.realpath(line.split(maxsplit=5)[5].strip()))\n"
    "print(*sorted(found), sep='\\n')\n"
)


def compile_c(*arguments):
    subprocess.run(["gcc", "-O1", "-fPIC", "-shared", *map(str, arguments)], check=True)


class TestCompiled(support.ScenarioCase):
    """Scenario 10. numpy and cryptography: test_applications."""

    def test_lxml(self, mode):
        both = support.Both("lxml", [support.PROBE, "python3-lxml"], "-e", "probe:main")
        code = (
            "import lxml.etree, lxml.html, lxml.objectify, lxml.isoschematron\n"
            'tree = lxml.etree.XML(\'<a><b n="1">x</b><b n="2">y</b></a>\')\n'
            'sheet = lxml.etree.XSLT(lxml.etree.XML(\'<x:stylesheet version="1.0" '
            'xmlns:x="http://www.w3.org/1999/'
            'XSL/Transform"><x:template match="/"><r><x:value-of select="//b[2]"/></r></x:template>'
            "</x:stylesheet>'))\n"
            "print(tree.xpath('string(//b[@n=1])'), str(sheet(tree)))\n"
            # A schema compiler in XSLT files of the package.
            "print(lxml.isoschematron.Schematron(lxml.etree.XML('<schema "
            'xmlns="http://purl.oclc.org/dsdl/'
            'schematron"><pattern><rule context="a"><assert '
            'test="b"/></rule></pattern></schema>\'))'
            ".validate(tree))\n"
            "found = set()\n" + MAPS
        )
        said = self.same(both, code, mode=mode)
        self.assertIn("x <?xml", said)
        self.assertRegex(said, r"(?m)^SITE/lxml/etree\.cpython-311-x86_64-linux-gnu\.so$")

    def native(self, size=0):
        """A package with an extension module, libraries in pkg.libs and, if asked, a large one."""
        tree = support.write_tree(
            support.unique_dir("native"),
            {
                **support.PROBE,
                "native/__init__.py": "from native._native import VALUE\n",
                "native.libs": None,
            },
        )
        sources = support.write_tree(
            support.unique_dir("sources"),
            {
                "dependency.c": DEPENDENCY,
                "extension.c": EXTENSION,
                "large.s": LARGE.format(count=size // 4, size=size),
            },
        )
        libraries = tree / "native.libs"
        compile_c(
            sources / "dependency.c",
            "-o",
            libraries / "libdependency-1f.so.1",
            "-Wl,-soname,libdependency-1f.so.1",
        )
        compile_c(
            sources / "extension.c",
            libraries / "libdependency-1f.so.1",
            "-Wl,-rpath,$ORIGIN/../native.libs",
            "-o",
            tree / "native" / "_native.abi3.so",
        )
        if size:
            compile_c("-nostdlib", sources / "large.s", "-o", libraries / "liblarge.so")
        return support.Both("native", tree, "-e", "probe:main")

    def test_origin_rpath_and_ctypes(self, mode):
        code = (
            "import ctypes, native, native._native\n"
            "print(native.VALUE, native._native.__file__)\n"
            "where = os.path.dirname(os.path.dirname(native.__file__)) + "
            "'/native.libs/libdependency-1f.so.1'\n"
            "print(ctypes.CDLL(where).dependency_value())\n"
            "found = set()\n" + MAPS
        )
        said = self.same(self.native(), code, mode=mode)
        self.assertEqual(
            said,
            "42 SITE/native/_native.abi3.so\n42\nSITE/native.libs/libdependency-1f.so.1\n"
            "SITE/native/_native.abi3.so\n",
        )

    def check_large_library(self, size):
        """One page of a large library is read: the program and the server grow by pages, not by its
        size."""
        both = self.native(size)
        code = (
            "import ctypes, json, native\n"
            "def rss(pid='self'): return [int(l.split()[1]) for l in open(f'/proc/{pid}/status')"
            " if l.startswith('VmRSS')][0]\n"
            "def server():\n"
            "    return json.load(open('/run/haft/native/.haft/stats'))['server']\n"
            "before, server_before = rss(), server()\n"
            "library = ctypes.CDLL('/run/haft/native/site-packages/native.libs/liblarge.so')\n"
            f"large = (ctypes.c_char * {size}).in_dll(library, 'large')\n"
            f"print(large[{size // 2}:{size // 2 + 8}])\n"
            "print(rss() - before, (server()['rss_bytes'] - server_before['rss_bytes']) // 1024)\n"
        )
        with self.clean():
            done = support.run([both.bundle, code], mode=support.MODES[-1], check=True)
        text, grown = done.stdout.splitlines()
        self.assertEqual(text, "b'mallmall'")
        program, server = map(int, grown.split())
        self.assertLess(program, 4096, "KiB more in the program")
        self.assertLess(server, 8192, "KiB more in the server")

    def test_one_page_of_a_large_library(self):
        self.check_large_library(48 << 20)

    @support.long_test
    def test_one_page_of_a_library_of_200_megabytes(self):
        self.check_large_library(200 << 20)
