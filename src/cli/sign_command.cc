// root, sign: what a bundle is called, and who vouches for it.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "commands.h"
#include "haft/base/file_io.h"
#include "haft/base/path.h"
#include "haft/base/subprocess.h"
#include "haft/base/temporary_directory.h"
#include "haft/base/text.h"
#include "haft/format/digest.h"
#include "haft/format/signature_area.h"
#include "haft/launch/environment.h"
#include "haft/trust/ssh_signature.h"
#include "input_file.h"
#include "output.h"

namespace haft::cli {
namespace {

void DefineRoot(CommandLine& line) {
  line.Positional({"FILE"}, 1);
}

Result<int> RunRoot(const Arguments& arguments) {
  const InputFile input = TRY(OpenInput(arguments.Get("FILE")));
  if (input.archive) {
    return Failure(Error::Invalid(fmt::format("{}: an archive has no root", Quoted(input.path)))
                       .Remedy("make a bundle of it with haft build --from"));
  }
  TRY(Print(format::RootMessage(input.bundle.trailer.root)));
  return kOk;
}

// --- sign ---

constexpr std::size_t kMaxSignatureText = 64u << 10;

void DefineSign(CommandLine& line) {
  line.Value("key", "KEY", "sign with this key, as ssh-keygen -f: also a public one, of an agent")
      .Value("attach", "SIGNATURE", "what ssh-keygen -Y sign has made of 'haft root FILE'")
      .Positional({"FILE"}, 1);
}

// By ssh-keygen, which knows agents and hardware keys, and asks for what it needs on the terminal.
Result<std::string> MakeSignature(const std::string& key, std::string_view message) {
  const Environment environment = Environment::Current();
  const std::string program =
      FindInPath("ssh-keygen", environment.Get("PATH").value_or(kDefaultPath));
  if (program.empty()) {
    return Failure(Error::Invalid("ssh-keygen: not found in PATH").Remedy("install OpenSSH"));
  }
  const TemporaryDirectory directory = TRY(TemporaryDirectory::CreateInTmp("haft-sign-"));
  const std::string path = directory.path() + "/root";
  {
    const UniqueFd file = TRY(OpenFile(path, O_WRONLY | O_CREAT | O_EXCL, 0600));
    TRY(WriteAll(file.get(), AsBytes(message)));
  }
  const haft::Command command = {
      .program = program,
      .arguments = {"-q", "-Y", "sign", "-n", std::string(trust::kNamespace), "-f", key, path},
      .environment = environment.entries()};
  ForegroundChild child = TRY(ForegroundChild::Start(command));
  if (const int status = TRY(child.Wait()); status != 0) {
    return Failure(Error::Invalid(
        fmt::format("ssh-keygen with key {}: {}", Quoted(key), DescribeStatus(status))));
  }
  return ReadWholeFile(path + ".sig", kMaxSignatureText);
}

// Bytes that are a signature of the message, else why they are not.
Result<trust::SshSignature> CheckSignature(std::string_view blob, std::string_view message) {
  trust::SshSignature signature = TRY(trust::ParseSignature(blob));
  if (signature.purpose != trust::kNamespace) {
    return Failure(Error::Invalid(fmt::format("made for namespace {}", Quoted(signature.purpose)))
                       .Remedy("use ssh-keygen -n haft"));
  }
  if (!trust::IsSignatureOf(signature, message))
    return Failure(Error::Invalid("it is of other bytes").Remedy("sign what haft root prints"));
  return signature;
}

Result<UniqueFd> OpenToSign(const std::string& path) {
  auto file = OpenFile(path, O_RDWR);
  if (!file && file.error().sys_errno() == ETXTBSY)
    return Failure(std::move(file).error().Remedy("sign a copy: this one is running"));
  return file;
}

Result<int> RunSign(const Arguments& arguments) {
  if (arguments.Has("key") == arguments.Has("attach"))
    return Failure(UsageError("either --key KEY or --attach SIGNATURE says with what"));
  const std::string path = arguments.Get("FILE");
  const UniqueFd file = TRY(OpenToSign(path));
  const format::BundleFile bundle = TRY_WITHIN(Quoted(path), format::LocateImage(file.get()));
  std::vector<std::string> signatures =
      TRY_WITHIN(Quoted(path), format::ReadSignatures(file.get(), bundle));
  const std::string message = format::RootMessage(bundle.trailer.root);
  const std::string source = arguments.Get(arguments.Has("key") ? "key" : "attach");
  const std::string text = TRY(arguments.Has("key") ? MakeSignature(source, message)
                                                    : ReadWholeFile(source, kMaxSignatureText));
  const std::string blob = TRY_WITHIN(Quoted(source), trust::RemoveArmour(text));
  const trust::SshSignature signature = TRY_WITHIN(Quoted(source), CheckSignature(blob, message));
  if (std::ranges::find(signatures, blob) == signatures.end()) {
    signatures.push_back(blob);
    const std::string area = TRY_WITHIN(Quoted(path), format::MakeSignatureArea(signatures));
    TRY_WITHIN(Quoted(path), WriteAllAt(file.get(), AsBytes(area),
                                        bundle.image_offset + bundle.signatures_offset()));
    if (::fsync(file.get()) < 0) return Failure(Error::FromErrno(Quoted(path)));
  }
  TRY(Print(fmt::format("{}: signed with {}\n", path, Fingerprint(signature.key))));
  return kOk;
}

}  // namespace

constinit const Command kRootCommand = {
    .name = "root",
    .summary = "print the digest that names a bundle",
    .synopsis = "FILE",
    .description =
        "Prints the root of a bundle, the SHA-256 over everything in it, in two lines: what a "
        "signature of it signs.",
    .example =
        "  haft root certbot | ssh-keygen -Y sign -n haft -f ~/.ssh/id_ed25519 > certbot.sig",
    .define = DefineRoot,
    .run = RunRoot,
};

constinit const Command kSignCommand = {
    .name = "sign",
    .summary = "sign a bundle with an SSH key",
    .synopsis = "{--key KEY | --attach SIGNATURE} FILE",
    .description =
        "Signs a bundle with a key of OpenSSH, of type ed25519, in the file itself: its contents, "
        "size and root stay. Adds to the signatures that are there.",
    .example = "  haft sign --key ~/.ssh/id_ed25519 certbot",
    .define = DefineSign,
    .run = RunSign,
};

}  // namespace haft::cli
