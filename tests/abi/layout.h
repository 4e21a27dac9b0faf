/* The layout of version 1 on 64-bit machines, as published: every number here is a promise to compiled applications. */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <supervisor/app.h>

#define LOCK_MEMBER(type, member, offset) static_assert(offsetof(type, member) == (offset), #type "." #member " moved")
#define LOCK_SIZE(type, bytes) static_assert(sizeof(type) == (bytes), #type " changed its size")

static_assert(SUPERVISOR_ABI_VERSION == 1, "a new version needs a new table of layouts");
static_assert(sizeof(void*) == 8, "these numbers are those of 64-bit machines");

/* Never change: they stand in arrays. */
LOCK_MEMBER(supervisor_str, data, 0);
LOCK_MEMBER(supervisor_str, len, 8);
LOCK_SIZE(supervisor_str, 16);
LOCK_MEMBER(supervisor_field, name, 0);
LOCK_MEMBER(supervisor_field, value, 16);
LOCK_SIZE(supervisor_field, 32);

/* May grow at the end: then add lines, change only LOCK_SIZE. */
LOCK_MEMBER(supervisor_request_info, size, 0);
LOCK_MEMBER(supervisor_request_info, method, 8);
LOCK_MEMBER(supervisor_request_info, target, 24);
LOCK_MEMBER(supervisor_request_info, version, 40);
LOCK_MEMBER(supervisor_request_info, headers, 56);
LOCK_MEMBER(supervisor_request_info, headers_len, 64);
LOCK_MEMBER(supervisor_request_info, body, 72);
LOCK_MEMBER(supervisor_request_info, trailers, 88);
LOCK_MEMBER(supervisor_request_info, trailers_len, 96);
LOCK_MEMBER(supervisor_request_info, peer, 104);
LOCK_MEMBER(supervisor_request_info, scheme, 120);
LOCK_SIZE(supervisor_request_info, 136);

LOCK_MEMBER(supervisor_response, size, 0);
LOCK_MEMBER(supervisor_response, status, 8);
LOCK_MEMBER(supervisor_response, headers, 16);
LOCK_MEMBER(supervisor_response, headers_len, 24);
LOCK_MEMBER(supervisor_response, body, 32);
LOCK_SIZE(supervisor_response, 48);

LOCK_MEMBER(supervisor_worker_info, size, 0);
LOCK_MEMBER(supervisor_worker_info, slot, 8);
LOCK_MEMBER(supervisor_worker_info, generation, 12);
LOCK_SIZE(supervisor_worker_info, 16);

LOCK_MEMBER(supervisor_host, size, 0);
LOCK_MEMBER(supervisor_host, abi_version, 8);
LOCK_MEMBER(supervisor_host, log, 16);
LOCK_MEMBER(supervisor_host, fail, 24);
LOCK_MEMBER(supervisor_host, setting, 32);
LOCK_MEMBER(supervisor_host, settings_toml, 40);
LOCK_MEMBER(supervisor_host, request_info, 48);
LOCK_MEMBER(supervisor_host, respond, 56);
LOCK_MEMBER(supervisor_host, cancelled, 64);
LOCK_SIZE(supervisor_host, 72);

LOCK_MEMBER(supervisor_app, size, 0);
LOCK_MEMBER(supervisor_app, abi_version, 8);
LOCK_MEMBER(supervisor_app, kind, 12);
LOCK_MEMBER(supervisor_app, handler, 16);
LOCK_MEMBER(supervisor_app, name, 24);
LOCK_MEMBER(supervisor_app, self, 32);
LOCK_MEMBER(supervisor_app, load, 40);
LOCK_MEMBER(supervisor_app, worker_start, 48);
LOCK_MEMBER(supervisor_app, worker_stop, 56);
LOCK_MEMBER(supervisor_app, handle, 64);
LOCK_MEMBER(supervisor_app, worker_ready, 72);
LOCK_SIZE(supervisor_app, 80);

/* Values cross the interface as numbers. */
static_assert(SUPERVISOR_LOG_DEBUG == 1 && SUPERVISOR_LOG_INFO == 2 && SUPERVISOR_LOG_WARN == 3, "log levels moved");
static_assert(SUPERVISOR_LOG_ERROR == 4, "log levels moved");
static_assert(SUPERVISOR_APP_HTTP == 1, "application kinds moved");
static_assert(SUPERVISOR_HANDLER_INLINE == 1, "handler kinds moved");
