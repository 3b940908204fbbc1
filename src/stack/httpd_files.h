#pragma once

#include <string>
#include <vector>

#include "haft/base/error.h"

namespace haft {

// Where the files of Apache's httpd are on the host.
struct HttpdFiles {
  std::string program;
  std::string modules;               // directory
  std::vector<std::string> helpers;  // programs that its configuration or its administrator calls
  std::string mime_types;            // empty: there is none
};

// Of the httpd at `program`; if that is empty, of the first of the usual ones.
Result<HttpdFiles> FindHttpdFiles(const std::string& program);

}  // namespace haft
