#pragma once

#include <string>
#include <vector>

#include "haft/base/error.h"

namespace haft::bench {

// One way to start a program.
struct StartCommand {
  std::vector<std::string> argv;                 // argv[0] is the path
  std::vector<std::string> environment;          // all of it
  std::vector<std::vector<std::string>> before;  // commands that belong to the start: mounting
  std::vector<std::vector<std::string>> after;   // that undo them
  std::string
      forget;  // a directory that is emptied first, outside of the time: what a first start finds
};

// What one start cost. "helpers" are all processes that it left to others to wait for: servers of
// file systems, what keeps them; and the commands `before` it.
struct Sample {
  double wall_ms = 0;  // to the end of the program; of several at once their mean
  double cpu_ms = 0;   // of the program and the children it waited for
  double helper_cpu_ms = 0;
  double peak_mb = 0;         // of the largest of its processes
  double helper_peak_mb = 0;  // of all helpers together
  int status = 0;             // as waitpid(2) gives it
  std::string output;         // the front of its standard output, if asked for
};

// Starts `parallel` of them at once and waits for everything that comes of it: this process adopts
// orphans, so that the kernel accounts to it for servers too, however short they live. An error if
// a process is still there ten seconds after the program has ended (it is killed). REQUIRES: the
// process has no other children.
Result<Sample> MeasureStart(const StartCommand& command, unsigned parallel, bool keep_output);

// Writes dirty pages back and empties the page cache. Needs root.
Result<> DropPageCache();

}  // namespace haft::bench
