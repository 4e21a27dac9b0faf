/*
 * supervisor/app.h: the C interface between an application (app.so) and the supervisor that runs it.
 *
 * Conventions
 *  1. C11, no dependencies. The application links against nothing of the supervisor: what it may call arrives in the
 *     table `supervisor_host`, which lives as long as the process.
 *  2. Append-only. Structs that may grow begin with their own size: whoever reads one looks at a member only if
 *     SUPERVISOR_HAS says so. `supervisor_str` and `supervisor_field` stand in arrays and never change.
 *     SUPERVISOR_ABI_VERSION changes only when old applications could no longer work. Members of a struct of known
 *     size that a later version gives meaning to are zero until then: initialise with `= {0}` or by name.
 *  3. Strings are pointer + length (`supervisor_str`), never NUL-terminated unless a comment says so. An empty string
 *     may have a null pointer.
 *  4. OWNERSHIP: whoever allocates frees. Everything the host passes in is borrowed, and valid until the callback
 *     returns unless its comment says longer. Everything the application passes to a host function is copied before
 *     that function returns.
 *  5. THREADS: `supervisor_application` and `load` run on the only thread of the template process; all other callbacks
 *     run on the main thread of a worker. They are never re-entered. Host functions may be called only from inside a
 *     callback (`supervisor_application` counts as one), on its thread; `setting` and `settings_toml` alone may be
 *     called from any thread at any time.
 *  6. ERRORS: callbacks that may fail return 0 for success and any other number for failure, after describing it with
 *     `host->fail`. C++ exceptions must not cross this interface; <supervisor/app.hpp> turns them into errors.
 *  7. FORK: what `supervisor_application` and `load` built is shared copy-on-write by all workers, which are forked
 *     from that process. They must not leave threads behind, and should not open connections or event loops: every
 *     worker would share them. Open those in `worker_start`.
 *  8. END: the library is never unloaded, and nothing promises that its atexit functions and static destructors run.
 *     Clean up in `worker_stop`; a process that is killed does not even reach that.
 *
 * Not offered yet: handlers on threads, coroutines, streaming bodies, raw streams. `kind` and `handler` leave room.
 */
#ifndef SUPERVISOR_APP_H
#define SUPERVISOR_APP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SUPERVISOR_ABI_VERSION 1u

/* The one symbol an application exports: `const supervisor_app *supervisor_application(const supervisor_host *)`. */
#define SUPERVISOR_APP_SYMBOL "supervisor_application"

/* Whether the struct at `pointer`, filled by somebody compiled against another version, has `member`. */
#define SUPERVISOR_HAS(type, pointer, member) ((pointer)->size >= offsetof(type, member) + sizeof((pointer)->member))

typedef struct supervisor_str {
  const char* data;
  size_t len; /* bytes */
} supervisor_str;

/* Initialiser of a supervisor_str from a string literal. In a C expression: (supervisor_str)SUPERVISOR_STR("text"). */
#define SUPERVISOR_STR(literal) {"" literal, sizeof(literal) - 1}

/* A header field. Names keep the spelling they arrived with. */
typedef struct supervisor_field {
  supervisor_str name;
  supervisor_str value;
} supervisor_field;

/* One request, opaque. OWNERSHIP: the host's, borrowed until `handle` returns. */
typedef struct supervisor_request supervisor_request;

/* Enumerations name values; what crosses the interface is always a uint32_t, whose size no compiler option changes. */
enum supervisor_log_level {
  SUPERVISOR_LOG_DEBUG = 1,
  SUPERVISOR_LOG_INFO = 2,
  SUPERVISOR_LOG_WARN = 3,
  SUPERVISOR_LOG_ERROR = 4
};

enum supervisor_app_kind {
  SUPERVISOR_APP_HTTP = 1 /* 2 is reserved for raw streams */
};

enum supervisor_handler_kind {
  SUPERVISOR_HANDLER_INLINE = 1 /* short, never blocks; 2 = threads and 3 = coroutine are reserved */
};

/* Everything known of a request. OWNERSHIP: the host's, with all it points to, borrowed until `handle` returns. */
typedef struct supervisor_request_info {
  size_t size;                     /* sizeof(supervisor_request_info) in the host */
  supervisor_str method;           /* "GET"; as sent */
  supervisor_str target;           /* as sent, nothing decoded: "/path?query", "*" or "http://host/path?query" */
  supervisor_str version;          /* "1.0" or "1.1" */
  const supervisor_field* headers; /* in the order received; whitespace around values removed */
  size_t headers_len;              /* fields */
  supervisor_str body;             /* whole, chunked encoding removed */
  const supervisor_field* trailers;
  size_t trailers_len;   /* fields */
  supervisor_str peer;   /* "192.0.2.7:51234", "[2001:db8::1]:443", or "unix:" */
  supervisor_str scheme; /* "http" */
} supervisor_request_info;

/* An answer. OWNERSHIP: the application's, with all it points to; the host copies it inside `respond`. */
typedef struct supervisor_response {
  size_t size;    /* sizeof(supervisor_response) in the application */
  int32_t status; /* 200 to 599 */
  /* Without Content-Length, Transfer-Encoding, Connection, Date and Server: the server sets them. Names are tokens
   * (RFC 9110, 5.6.2); values contain no CR, LF or NUL. */
  const supervisor_field* headers; /* may be NULL when headers_len is 0 */
  size_t headers_len;              /* fields */
  /* Its length becomes Content-Length. For HEAD it is counted and not sent; for 204 and 304 it is ignored. */
  supervisor_str body;
} supervisor_response;

typedef struct supervisor_worker_info {
  size_t size;         /* sizeof(supervisor_worker_info) in the host */
  uint32_t slot;       /* 0 to workers-1; a replacement has the slot of its predecessor, and both may live at once */
  uint32_t generation; /* of the application: 1 at start, one more after each reload */
} supervisor_worker_info;

/* The host's functions; none is ever NULL. OWNERSHIP: the host's, for the life of the process. */
typedef struct supervisor_host {
  size_t size;          /* sizeof(supervisor_host) in the host */
  uint32_t abi_version; /* SUPERVISOR_ABI_VERSION of the host */
  /* A line in the supervisor's log, which says which process wrote it. `level` is a supervisor_log_level. */
  void (*log)(uint32_t level, supervisor_str message);
  /* Describes, in one line, why the callback now running will report failure. The last call wins. Without meaning in
   * callbacks that cannot fail. */
  void (*fail)(supervisor_str reason);
  /* A setting of the [app] table by dotted key ("redis.url"). Returns 1 and fills *value, or 0 if there is none.
   * Strings come unquoted, everything else as TOML text. The text lives as long as the process. */
  int (*setting)(supervisor_str key, supervisor_str* value);
  /* The whole [app] table as TOML. Lives as long as the process. */
  supervisor_str (*settings_toml)(void);
  /* Never NULL; the same pointer each time. The first call for a request does the work of filling it. */
  const supervisor_request_info* (*request_info)(const supervisor_request* request);
  /* The one answer to a request. Returns 0 when it was taken, and -1, with the reason in the log and nothing sent, when
   * one was taken before or this one breaks a rule of supervisor_response. A handler that returns without an answer
   * that was taken makes the client get a 500. That the client has gone is not an error. */
  int (*respond)(supervisor_request* request, const supervisor_response* response);
  /* 1 once the client has gone, and work for it can stop: it closed or reset the connection, or closed its sending half
   * (which TCP cannot tell from closing). Costs a system call: ask between steps of long work, not in a tight loop. */
  int (*cancelled)(const supervisor_request* request);
} supervisor_host;

/* What an application is. OWNERSHIP: the application's, for the life of the process (usually static). Read once, right
 * after supervisor_application returned; `self` is only handed back, never looked into. */
typedef struct supervisor_app {
  size_t size; /* sizeof(supervisor_app) in the application */
  uint32_t abi_version; /* SUPERVISOR_ABI_VERSION in the application */
  uint32_t kind; /* supervisor_app_kind */
  uint32_t handler; /* supervisor_handler_kind */
  const char* name; /* NUL-terminated, for logs; NULL = the file's name */
  void* self; /* handed to every callback; may be NULL */
  /* Once, in the template process, before any worker exists. May be NULL. Failure refuses this generation. */
  int (*load)(void* self);
  /* In every worker, before its first request. May be NULL. Failure ends the worker, which is tried again later. */
  int (*worker_start)(void* self, const supervisor_worker_info* info);
  /* In a worker that leaves in order, after its last request. May be NULL. */
  void (*worker_stop)(void* self);
  /* One request. Answers by host->respond before it returns. Never NULL. */
  void (*handle)(void* self, supervisor_request* request);
  /* In every worker after worker_start, every few milliseconds until it returns 1: before that the worker serves
   * nobody, and neither a start nor a reload counts it as ready. For what warms up on threads of its own;
   * workers.start_timeout covers it too. 0 = not yet; any other number = failure, as of worker_start. NULL = ready at
   * once. */
  int (*worker_ready)(void* self);
} supervisor_app;

#if defined(__GNUC__)
#define SUPERVISOR_EXPORT __attribute__((visibility("default")))
#else
#define SUPERVISOR_EXPORT
#endif

/* Called once, before load, in the template process. NULL = failed (after host->fail). */
SUPERVISOR_EXPORT const supervisor_app* supervisor_application(const supervisor_host* host);

#ifdef __cplusplus
}
#endif
#endif /* SUPERVISOR_APP_H */
