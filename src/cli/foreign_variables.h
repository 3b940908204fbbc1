// The environment variables by which users of shiv and pex change one start.
#pragma once

#include "haft/archive/archive_kind.h"
#include "haft/format/manifest.h"
#include "haft/launch/environment.h"

namespace haft::cli {

// Takes the variables of the tool that made the archive out of `environment` and puts what they
// mean there as HAFT_* variables (which win if they are there already) and into the manifest. As
// with those, "" and "0" mean off.
// * shiv: SHIV_ENTRY_POINT, SHIV_MODULE, SHIV_CONSOLE_SCRIPT, SHIV_INTERPRETER
// * pex: PEX_MODULE, PEX_SCRIPT, PEX_INTERPRETER, PEX_PYTHON, PEX_INHERIT_PATH, PEX_EXTRA_SYS_PATH
void TranslateVariables(ArchiveKind kind, Environment& environment, format::Manifest& manifest);

}  // namespace haft::cli
