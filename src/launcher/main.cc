// Stands under the name of an ELF program that a bundle brings along and starts it with the
// bundle's own loader and libraries, wherever the bundle is mounted:
//
//   ROOT/bin/NAME ARGS...   becomes
//   ROOT/loader/NAME --inhibit-cache --argv0 ARGV0 --library-path ROOT/lib ROOT/libexec/NAME
//   ARGS...
//
// ROOT/loader/NAME is the loader itself, under the program's name because the kernel calls the
// process so. The library path is for this one process: nothing goes into the environment, so
// programs of the host never see it.
//
// Freestanding: no C library, three system calls, 4 KiB. It runs before every start, out of a mount
// where each page read costs a round trip.
#include <asm/unistd.h>

namespace {

using Word = long;

#if defined(__x86_64__)
Word SystemCall(Word number, Word a, Word b, Word c, Word d = 0) {
  register Word r10 asm("r10") = d;
  Word result;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
               : "rcx", "r11", "memory");
  return result;
}
asm(".globl _start\n_start:\n  xor %ebp, %ebp\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call "
    "Launch\n");
#elif defined(__aarch64__)
Word SystemCall(Word number, Word a, Word b, Word c, Word d = 0) {
  register Word x8 asm("x8") = number;
  register Word x0 asm("x0") = a;
  register Word x1 asm("x1") = b;
  register Word x2 asm("x2") = c;
  register Word x3 asm("x3") = d;
  asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
  return x0;
}
asm(".globl _start\n_start:\n  mov x29, xzr\n  mov x0, sp\n  bl Launch\n");
#else
#error "the launcher knows x86-64 and arm64"
#endif

constexpr Word kAtFdCwd = -100;
constexpr Word kNoEntry = -2;  // ENOENT
constexpr Word kPathSize = 4096;
constexpr int kFixedArguments = 7;  // of the loader, the program's path included
constexpr int kNotExecutable = 126, kNotFound = 127;

// A path in a fixed buffer; once too long, it stays unusable.
class Path {
 public:
  Path& Append(const char* text, Word size) {
    if (size >= kPathSize - size_) too_long_ = true;
    for (Word i = 0; !too_long_ && i < size; ++i) text_[size_++] = text[i];
    text_[size_] = '\0';
    return *this;
  }
  Path& Append(const char* text) {
    Word size = 0;
    while (text[size] != '\0') ++size;
    return Append(text, size);
  }
  const char* text() const { return text_; }
  Word size() const { return size_; }
  bool too_long() const { return too_long_; }

 private:
  Word size_ = 0;
  bool too_long_ = false;
  char text_[kPathSize];
};

[[noreturn]] void Fail(const char* program, const char* why, int status) {
  Path message;
  message.Append("haft: '").Append(program).Append("': ").Append(why).Append("\n");
  SystemCall(__NR_write, 2, reinterpret_cast<Word>(message.text()), message.size());
  for (;;) SystemCall(__NR_exit_group, status, 0, 0);
}

// The size of `path` without its last component and the slash before.
Word ParentSize(const char* path, Word size) {
  while (size > 0 && path[size - 1] != '/') --size;
  return size > 0 ? size - 1 : 0;
}

}  // namespace

// `stack` is what the kernel gives a new process: argc, argv, 0, environment, 0.
extern "C" [[noreturn]] void Launch(Word* stack) {
  const Word argc = stack[0];
  const char** argv = reinterpret_cast<const char**>(stack + 1);
  const char** environment = argv + argc + 1;
  const char* argv0 = argc > 0 ? argv[0] : "";

  char self[kPathSize];
  Word size = SystemCall(__NR_readlinkat, kAtFdCwd, reinterpret_cast<Word>("/proc/self/exe"),
                         reinterpret_cast<Word>(self), kPathSize - 1);
  if (size <= 0) Fail(argv0, "cannot tell where it is: /proc is not mounted", kNotExecutable);
  self[size] = '\0';
  const Word bin = ParentSize(self, size);
  const Word root = ParentSize(self, bin);
  const char* name = self + bin;  // with the slash

  Path loader, libraries, program;
  loader.Append(self, root).Append("/loader").Append(name);
  libraries.Append(self, root).Append("/lib");
  program.Append(self, root).Append("/libexec").Append(name);
  if (loader.too_long() || program.too_long()) Fail(self, "its path is too long", kNotExecutable);

  // Below what the kernel put on the stack there is room: it leaves a quarter of the stack limit at
  // least.
  const char** arguments = static_cast<const char**>(
      __builtin_alloca(static_cast<unsigned long>(argc + kFixedArguments + 1) * sizeof(char*)));
  int count = 0;
  const char* const fixed[kFixedArguments] = {loader.text(), "--inhibit-cache", "--argv0",
                                              argv0,         "--library-path",  libraries.text(),
                                              program.text()};
  for (const char* argument : fixed) arguments[count++] = argument;
  for (Word i = 1; i < argc; ++i) arguments[count++] = argv[i];
  arguments[count] = nullptr;
  Word error = SystemCall(__NR_execve, reinterpret_cast<Word>(loader.text()),
                          reinterpret_cast<Word>(arguments), reinterpret_cast<Word>(environment));
  Fail(loader.text(),
       error == kNoEntry ? "the bundle's loader is missing; a copy of this program works only "
                           "beside it, link to it instead"
                         : "the bundle's loader cannot be executed",
       error == kNoEntry ? kNotFound : kNotExecutable);
}
