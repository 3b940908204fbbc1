#pragma once

#include <span>

#include "haft/base/embedded_file.h"

namespace haft {

// What Python is asked with -c: python_files_question.py.
std::span<const EmbeddedFile> PythonFilesQuestion();
// mod_wsgi's note of where httpd is: apxs_config.py, with {root} and {httpd} to be filled in.
std::span<const EmbeddedFile> ApxsConfigTemplate();

}  // namespace haft
