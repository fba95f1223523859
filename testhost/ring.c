// SPDX-License-Identifier: GPL-2.0-only
/*
 * Has the VMs of testhost/l1-tracing-tools ring, one after the other, and ends when each has
 * answered.  Under the name of sleep it stands for the seconds that a tool looks on.  (No
 * script: bpftrace starts none.)
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static int open_fifo(const char *name, int vm, int flags)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/tmp/%s.%d", name, vm);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		perror(path);
	return fd;
}

int main(void)
{
	int vm;

	for (vm = 1; vm <= 2; vm++) {
		char answer[8];
		int to = open_fifo("order", vm, O_WRONLY);
		int from = open_fifo("answer", vm, O_RDONLY);

		if (to < 0 || from < 0)
			return 1;
		if (write(to, "\n", 1) != 1 || read(from, answer, sizeof(answer)) <= 0) {
			perror("ring");
			return 1;
		}
	}
	return 0;
}
