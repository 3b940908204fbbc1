// verify: whether a file is whole, and whose it is.
#include <fcntl.h>
#include <fmt/format.h>
#include <time.h>

#include <optional>
#include <vector>

#include "commands.h"
#include "haft/archive/zip_image.h"
#include "haft/base/log.h"
#include "haft/format/digest.h"
#include "haft/format/signature_area.h"
#include "haft/image/verify.h"
#include "haft/trust/policy.h"
#include "haft/trust/signers.h"
#include "haft/trust/ssh_signature.h"
#include "input_file.h"
#include "output.h"
#include "progress_bar.h"

namespace haft::cli {
namespace {

void DefineVerify(CommandLine& line) {
  line.Value("signer", "WHO", "fail unless WHO has signed it; of several, one of them")
      .Value("allowed-signers", "FILE",
             "whose keys are whose, as for ssh-keygen -Y verify [those of /etc/haft]")
      .Value("revoked-keys", "FILE", "public keys that no longer count [those of /etc/haft]")
      .Positional({"FILE"}, 1);
}

bool AsksForSignature(const Arguments& arguments) {
  return arguments.Has("signer") || arguments.Has("allowed-signers") ||
         arguments.Has("revoked-keys");
}

// All that is read besides FILE.
Result<trust::Signers> ReadSignersFor(const Arguments& arguments) {
  const std::string allowed = arguments.Get("allowed-signers");
  const std::string revoked = arguments.Get("revoked-keys");
  trust::Signers signers;
  if (allowed.empty() || revoked.empty())
    signers = TRY(trust::ReadSigners(std::string(trust::kSystemDirectory), true));
  if (!allowed.empty()) {
    signers.allowed =
        TRY(trust::ParseAllowedSigners(TRY(trust::ReadSignersFile(allowed)), allowed));
  }
  if (!revoked.empty()) {
    signers.revoked = TRY(trust::ParseRevokedKeys(TRY(trust::ReadSignersFile(revoked)), revoked));
  }
  return signers;
}

// What is in the signature area, by itself: a line each for those that are right, and problems.
struct SignatureReport {
  std::vector<std::string> signatures;  // of the area
  std::vector<std::string> good;
  std::vector<std::string> problems;
};

Result<SignatureReport> CheckEachSignature(const InputFile& input) {
  SignatureReport report;
  auto signatures = format::ReadSignatures(input.image.get(), input.bundle);
  if (!signatures) return report;  // VerifyBundle() has said so
  for (const std::string& blob : *signatures) {
    const auto signature = trust::ParseSignature(blob);
    if (!signature) {
      report.problems.push_back(signature.error().message());
    } else if (!trust::IsSignatureOf(*signature, format::RootMessage(input.bundle.trailer.root)) ||
               signature->purpose != trust::kNamespace) {
      report.problems.push_back(fmt::format("the signature with {} is not one of this bundle",
                                            Fingerprint(signature->key)));
    } else {
      report.good.push_back(Fingerprint(signature->key));
    }
  }
  report.signatures = *std::move(signatures);
  return report;
}

Result<VerifyReport> VerifyContents(InputFile& input) {
  ProgressBar bar;
  auto progress = [&](std::uint64_t done, std::uint64_t total) {
    bar.Show("verify", done, total, "bytes");
  };
  if (input.archive) return VerifyZip(*input.archive, progress);
  return VerifyBundle(UniqueFd(::fcntl(input.image.get(), F_DUPFD_CLOEXEC, 0)), progress);
}

Result<int> RunVerify(const Arguments& arguments) {
  const bool wanted = AsksForSignature(arguments);
  trust::Signers signers;
  if (wanted) signers = TRY(ReadSignersFor(arguments));
  InputFile input = TRY(OpenInputConfined(arguments.Get("FILE")));
  const std::string name = Quoted(input.path);
  if (wanted && input.archive)
    return Failure(Error::Invalid(fmt::format("{}: an archive has no signatures", name)));
  VerifyReport report = TRY_WITHIN(name, VerifyContents(input));
  SignatureReport signatures;
  if (!input.archive) signatures = TRY(CheckEachSignature(input));
  for (std::string& problem : report.problems) {
    // Those of an archive name it.
    LogLine(LogLevel::kError, input.archive ? problem : fmt::format("{}: {}", name, problem));
  }
  for (const std::string& problem : signatures.problems)
    LogLine(LogLevel::kError, fmt::format("{}: {}", name, problem));
  std::optional<trust::Signed> by;
  if (wanted) {
    const std::vector<std::string> who = arguments.All("signer");
    by = TRY_WITHIN(name, trust::FindSigner(signatures.signatures,
                                            format::RootMessage(input.bundle.trailer.root), signers,
                                            {.signers = who, .now = ::time(nullptr)}));
  }
  if (!report.problems.empty() || !signatures.problems.empty()) return kFailed;
  std::string text =
      fmt::format("{}: good: {} files, {} {}, {} checked\n", input.path, report.files,
                  report.blocks, input.archive ? "entries" : "blocks", ShownSize(report.bytes));
  for (const std::string& key : signatures.good)
    text += fmt::format("{}: signed with {}\n", input.path, key);
  if (by) {
    text += fmt::format("{}: signed by {}, {}\n", input.path, Quoted(by->principals),
                        Fingerprint(by->key));
  }
  TRY(Print(text));
  return kOk;
}

}  // namespace

constinit const Command kVerifyCommand = {
    .name = "verify",
    .summary = "check every byte of a bundle, and who has signed it",
    .synopsis = "[--signer WHO]... [--allowed-signers FILE] [--revoked-keys FILE] FILE",
    .description =
        "Reads every byte of a bundle or zip archive and checks it, and the signatures in it. Exit "
        "status 1 if anything is damaged, or the signature asked for is not there.",
    .example =
        "  haft verify certbot\n"
        "  haft verify --signer ops@example.org --allowed-signers ~/.ssh/allowed_signers certbot",
    .define = DefineVerify,
    .run = RunVerify,
};

}  // namespace haft::cli
