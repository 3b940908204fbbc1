// What haft's own processes take away from themselves before they decode what others wrote. Each
// step lasts until the process ends and for all it starts. What the kernel does not have, or does
// not allow, is left out and told with HAFT_LOG=debug: serving goes on.
#pragma once

#include "haft/server/mount_directory.h"

namespace haft {

// No capabilities, now or by anything executed later; nobody of the same user looks into the
// process.
void GiveUpPrivileges();

// The rest, for each kind of process. All may use memory and threads, but make none of it
// executable, read what they have open, write to `device` and to standard error, and end. Nothing
// else: no file is opened, no program executed, no socket made, no other process seen or signalled,
// but for what is said here. A forbidden call ends the process with SIGSYS. REQUIRES:
// GiveUpPrivileges(), one thread.

// Before FuseServer::Run(), after FuseServer::Prepare(). May also call directory.Remove().
void ConfineServer(int device, const MountDirectory& directory = {});

// May also start the processes below, and servers, and wait for them; receive descriptors; open
// files for reading, which the second call limits to /proc and what is below `root`; send SIGABRT
// to processes of its user, since that is how a child of its own aborts; call directory.Remove().
void ConfineSupervisor(int device, const MountDirectory& directory = {});
void ConfineSupervisorToFiles(int root, const MountDirectory& directory = {});

// May also open and list what is below the directory `root`.
void ConfinePrefetchImage(int root);

// May also open files below the directories `prefix` and `usr`, for reading. False without
// Landlock, which alone holds that: it must then open nothing.
[[nodiscard]] bool ConfinePrefetchHost(int prefix, int usr);

// For a command that shows what is in a file, before it looks at the first byte of it. Calls
// GiveUpPrivileges() itself. May also write to all that is open, and keep files in memory.
void ConfineInspection();

// May also make, write and remove what is below the directory `parent`, with root's rights if the
// caller has them: a directory may be somebody else's.
void ConfineExtraction(int parent);

}  // namespace haft
