// The sub-commands of haft: each parses its words and returns the exit status, or an error to
// print.
#pragma once

#include <string>
#include <vector>

#include "haft/base/error.h"

namespace haft::cli {

using Words = std::vector<std::string>;

Result<int> RunBuild(const Words& words);
Result<int> RunRun(const Words& words);
Result<int> RunExec(const Words& words);
Result<int> RunShell(const Words& words);
Result<int> RunCache(const Words& words);
Result<int> RunPs(const Words& words);
Result<int> RunMount(const Words& words);
Result<int> RunUmount(const Words& words);
Result<int> RunLs(const Words& words);
Result<int> RunCat(const Words& words);
Result<int> RunInfo(const Words& words);
Result<int> RunVerify(const Words& words);
Result<int> RunExtract(const Words& words);
Result<int> RunBench(const Words& words);
Result<int> RunTrace(const Words& words);

// Writes to standard output; a closed pipe ends the process quietly, as with any filter.
Result<> Print(std::string_view text);

}  // namespace haft::cli
