// root: what a bundle is called.
#include <fmt/format.h>

#include "commands.h"
#include "haft/base/text.h"
#include "haft/format/digest.h"
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

}  // namespace haft::cli
