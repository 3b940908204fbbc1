// What a lock protects, in a form that clang checks (-Wthread-safety) and other compilers skip.
#pragma once

#ifdef __clang__
#define HAFT_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define HAFT_THREAD_ATTRIBUTE(x)
#endif

// On a class: a lock, or an object that holds one as long as it lives.
#define HAFT_CAPABILITY(name) HAFT_THREAD_ATTRIBUTE(capability(name))
#define HAFT_SCOPED_CAPABILITY HAFT_THREAD_ATTRIBUTE(scoped_lockable)

// On a member or a global variable: it is read and written only with this lock held.
#define HAFT_GUARDED_BY(lock) HAFT_THREAD_ATTRIBUTE(guarded_by(lock))

// On a function: the caller holds the lock, or must not hold it.
#define HAFT_REQUIRES(...) HAFT_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define HAFT_EXCLUDES(...) HAFT_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))

// On a function of a lock itself.
#define HAFT_ACQUIRE(...) HAFT_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define HAFT_RELEASE(...) HAFT_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))
