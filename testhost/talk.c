// SPDX-License-Identifier: GPL-2.0-only
/*
 * talk [--listen] vsock | ADDRESS: sends what it reads and writes what it receives, both
 * at once, over a connection to the host of this guest, by vsock, or to an IPv4 address.
 * With --listen it waits for the other one at any address; its end is the last, so that
 * the other one ends when all has arrived.
 */
#include <arpa/inet.h>
#include <err.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PORT = 5000 };

static void copy(int from, int to)
{
	static char buffer[65536];
	ssize_t n, done, written;

	while ((n = read(from, buffer, sizeof(buffer))) > 0)
		for (done = 0; done < n; done += written) {
			written = write(to, buffer + done, n - done);
			if (written < 0)
				err(1, "write");
		}
	if (n < 0)
		err(1, "read");
}

static int open_connection(const char *peer, bool listening)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	struct sockaddr_vm vm = {
		.svm_family = AF_VSOCK,
		.svm_port = PORT,
		.svm_cid = listening ? VMADDR_CID_ANY : VMADDR_CID_HOST,
	};
	struct sockaddr *address = (struct sockaddr *)&vm;
	socklen_t len = sizeof(vm);
	int fd;

	if (strcmp(peer, "vsock") != 0) {
		if (!inet_aton(listening ? "0.0.0.0" : peer, &in.sin_addr))
			errx(1, "%s is no IPv4 address", peer);
		address = (struct sockaddr *)&in;
		len = sizeof(in);
	}
	fd = socket(address->sa_family, SOCK_STREAM, 0);
	if (fd < 0)
		err(1, "socket");
	if (!listening) {
		if (connect(fd, address, len))
			err(1, "connect to %s", peer);
		return fd;
	}
	if (bind(fd, address, len) || listen(fd, 1))
		err(1, "listen");
	fd = accept(fd, NULL, NULL);
	if (fd < 0)
		err(1, "accept");
	return fd;
}

int main(int argc, char **argv)
{
	bool listening = argc == 3 && strcmp(argv[1], "--listen") == 0;
	pid_t sender;
	int fd, status;

	if (argc != 2 && !listening)
		errx(1, "usage: talk [--listen] vsock | ADDRESS");
	fd = open_connection(argv[argc - 1], listening);
	sender = fork();
	if (sender < 0)
		err(1, "fork");
	if (!sender) {
		copy(STDIN_FILENO, fd);
		if (!listening && shutdown(fd, SHUT_WR))
			err(1, "shutdown");
		_exit(0);
	}
	copy(fd, STDOUT_FILENO);
	if (waitpid(sender, &status, 0) < 0)
		err(1, "waitpid");
	return status ? 1 : 0;
}
