// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvmfd metrics --listen: HTTP by libmicrohttpd, for who is on this machine.
 *
 * The library is loaded when it is needed: it brings others, for TLS, that are not to be
 * in the process beside every VMM under kvmfd run.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "watch.h"

#define LIBRARY "libmicrohttpd.so.12"

/* Of a client. */
#define CONNECTIONS  16U
#define MEMORY       (16 * 1024U)
#define IDLE_SECONDS 5U
#define SECONDS      15

static struct {
	void *handle;
	typeof(MHD_start_daemon) *start_daemon;
	typeof(MHD_stop_daemon) *stop_daemon;
	typeof(MHD_get_connection_info) *get_connection_info;
	typeof(MHD_lookup_connection_value) *lookup_connection_value;
	typeof(MHD_create_response_from_buffer) *create_response_from_buffer;
	typeof(MHD_add_response_header) *add_response_header;
	typeof(MHD_queue_response) *queue_response;
	typeof(MHD_destroy_response) *destroy_response;
} mhd;

/* Connections, and when they were made; an fd of -1 is none. */
static struct {
	int fd;
	double since;
} connections[CONNECTIONS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *function(const char *name)
{
	void *f = dlsym(mhd.handle, name);

	if (!f)
		die("%s has no %s", LIBRARY, name);
	return f;
}

static void load_library(void)
{
	mhd.handle = dlopen(LIBRARY, RTLD_NOW);
	if (!mhd.handle)
		die("--listen needs libmicrohttpd: %s", dlerror());
	mhd.start_daemon = function("MHD_start_daemon");
	mhd.stop_daemon = function("MHD_stop_daemon");
	mhd.get_connection_info = function("MHD_get_connection_info");
	mhd.lookup_connection_value = function("MHD_lookup_connection_value");
	mhd.create_response_from_buffer = function("MHD_create_response_from_buffer");
	mhd.add_response_header = function("MHD_add_response_header");
	mhd.queue_response = function("MHD_queue_response");
	mhd.destroy_response = function("MHD_destroy_response");
}

static bool is_loopback(const struct sockaddr *address)
{
	const struct sockaddr_in *four = (const void *)address;
	const struct sockaddr_in6 *six = (const void *)address;

	if (address->sa_family == AF_INET)
		return ntohl(four->sin_addr.s_addr) >> 24 == 127;
	return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
}

/* Of one beyond its range getaddrinfo() makes another. */
static bool is_port(const char *text)
{
	size_t len = strspn(text, "0123456789");

	return len && len <= 5 && !text[len] && atoi(text) >= 1 && atoi(text) <= 65535;
}

/* 127.0.0.1:9464 or [::1]:9464; to be freed by freeaddrinfo(). */
static struct addrinfo *address_of(const char *where)
{
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM,
	};
	const char *colon = strrchr(where, ':');
	struct addrinfo *address = NULL;
	char *host;

	if (colon && is_port(colon + 1)) {
		host = strndup(where, colon - where);
		if (!host)
			die("out of memory");
		if (*host == '[' && host[strlen(host) - 1] == ']') {
			host[strlen(host) - 1] = 0;
			memmove(host, host + 1, strlen(host));
		}
		if (!*host || getaddrinfo(host, colon + 1, &hints, &address))
			address = NULL;
		free(host);
	}
	if (!address)
		die("--listen wants ADDRESS:PORT in numbers, 127.0.0.1:9464 say, not '%s'", where);
	if (!is_loopback(address->ai_addr))
		die("--listen: %s is no loopback address, and no other is served", where);
	return address;
}

static int listen_there(const char *where)
{
	struct addrinfo *address = address_of(where);
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int one = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, address->ai_addr, address->ai_addrlen) || listen(fd, CONNECTIONS))
		die("cannot listen on %s: %s", where, strerror(errno));
	freeaddrinfo(address);
	return fd;
}

static void remember(void *unused, struct MHD_Connection *c, void **context,
		     enum MHD_ConnectionNotificationCode what)
{
	int fd = mhd.get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	unsigned int i;

	(void)unused;
	(void)context;
	pthread_mutex_lock(&lock);
	for (i = 0; i < CONNECTIONS; i++) {
		if (what == MHD_CONNECTION_NOTIFY_CLOSED && connections[i].fd == fd) {
			connections[i].fd = -1;
			break;
		}
		if (what == MHD_CONNECTION_NOTIFY_STARTED && connections[i].fd < 0) {
			connections[i].fd = fd;
			connections[i].since = now();
			break;
		}
	}
	pthread_mutex_unlock(&lock);
}

/* Who sends, or takes, a byte now and then is never idle. */
static void cut_off_slow(void)
{
	unsigned int i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < CONNECTIONS; i++)
		if (connections[i].fd >= 0 && now() - connections[i].since > SECONDS)
			shutdown(connections[i].fd, SHUT_RDWR);
	pthread_mutex_unlock(&lock);
}

/* @body is freed; a connection is for one request, so that it can be short. */
static enum MHD_Result reply(struct MHD_Connection *c, unsigned int status, const char *type,
			     char *body)
{
	struct MHD_Response *r;
	enum MHD_Result done;

	r = mhd.create_response_from_buffer(strlen(body), body, MHD_RESPMEM_MUST_FREE);
	if (!r) {
		free(body);
		return MHD_NO;
	}
	mhd.add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
	mhd.add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		mhd.add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	done = mhd.queue_response(c, status, r);
	mhd.destroy_response(r);
	return done;
}

static enum MHD_Result refuse(struct MHD_Connection *c, unsigned int status, const char *why)
{
	char *body = strdup(why);

	return body ? reply(c, status, "text/plain; charset=utf-8", body) : MHD_NO;
}

/* As soon as the headers are there: what may follow is not read. */
static enum MHD_Result serve(void *unused, struct MHD_Connection *c, const char *url,
			     const char *method, const char *version, const char *data,
			     size_t *size, void **context)
{
	enum format format = PROMETHEUS;
	const char *accept;
	char *text;

	(void)unused;
	(void)version;
	(void)data;
	(void)size;
	(void)context;
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD only\n");
	if (strcmp(url, "/metrics"))
		return refuse(c, MHD_HTTP_NOT_FOUND, "there is /metrics only\n");
	accept = mhd.lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
	if (accept && strstr(accept, "application/openmetrics-text"))
		format = OPENMETRICS;
	text = metrics_text(format);
	if (!text)
		return refuse(c, MHD_HTTP_SERVICE_UNAVAILABLE, "kvmfd is not loaded\n");
	return reply(c, MHD_HTTP_OK, metrics_type(format), text);
}

void http_serve(const char *where)
{
	struct MHD_Daemon *daemon;
	unsigned int i;
	int fd;

	for (i = 0; i < CONNECTIONS; i++)
		connections[i].fd = -1;
	fd = listen_there(where);
	load_library();
	/* Its thread is started with signals blocked. */
	wait_prepare(false);
	signal(SIGPIPE, SIG_IGN);
	daemon = mhd.start_daemon(MHD_USE_POLL_INTERNAL_THREAD, 0, NULL, NULL, serve, NULL,
				  MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
				  CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS,
				  MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY,
				  MHD_OPTION_NOTIFY_CONNECTION, remember, NULL, MHD_OPTION_END);
	if (!daemon)
		die("cannot serve HTTP on %s", where);
	say("listening on %s", where);
	while (!wait_for(1, -1))
		cut_off_slow();
	mhd.stop_daemon(daemon);
	dlclose(mhd.handle);
}
