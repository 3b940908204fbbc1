// What the run that makes a profile may not do: it executes what others wrote.
#pragma once

#include "haft/base/error.h"

namespace haft {

// Takes from the calling thread, and all that it starts, what would change anything: files can be
// written below `home`, to `record` and to devices such as /dev/null only, as at a start, whose
// mount is read-only. Modes, owners and times of files stay as they are, though changing them seems
// to succeed. No sockets but pairs of them, no signals to other processes where the kernel has
// that, no privileges by executing, nothing that is for administrators.
Result<> ConfineRecording(int home, int record);

// Whether files are among it. If not, the child must see copies.
bool CanConfineRecording();

}  // namespace haft
