// SPDX-License-Identifier: GPL-2.0
/* The Linux boot protocol: a bzImage and an initramfs, entered in 64-bit mode. */
#include <asm/bootparam.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm.h"

#define SETUP_HEADER   0x1f1
#define BOOT_FLAG      0xAA55
#define HDRS_MAGIC     0x53726448 /* "HdrS" */
#define PROTOCOL_64BIT 0x020c     /* the first with xloadflags */
#define ENTRY_64       0x200
#define LOW_RAM_END    0x9fc00
#define ONE_MIB        0x100000

#define E820_RAM      1
#define E820_RESERVED 2

static int open_file(const char *path, uint64_t *size)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st))
		die("%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		die("%s: not a regular file", path);
	*size = st.st_size;
	return fd;
}

static void read_file(int fd, const char *path, void *buf, uint64_t len,
		      uint64_t off)
{
	ssize_t n;

	while (len) {
		n = pread(fd, buf, len, off);
		if (n < 0)
			die("%s: %s", path, strerror(errno));
		if (!n)
			die("%s: truncated while it was read", path);
		buf = (uint8_t *)buf + n;
		off += n;
		len -= n;
	}
}

/* Read and check the kernel's header; gives the offset of its 64-bit part. */
static uint64_t read_header(int fd, const char *path, uint64_t file_size,
			    struct setup_header *hdr)
{
	uint64_t setup_size;
	uint8_t jump_len;
	size_t len;

	memset(hdr, 0, sizeof(*hdr));
	if (file_size < SETUP_HEADER + sizeof(*hdr))
		die("%s: not a bzImage", path);
	/* The header ends where the jump at its offset 0x200 goes to. */
	read_file(fd, path, &jump_len, 1, 0x201);
	len = 0x202 + jump_len - SETUP_HEADER;
	read_file(fd, path, hdr, len < sizeof(*hdr) ? len : sizeof(*hdr),
		  SETUP_HEADER);
	if (hdr->boot_flag != BOOT_FLAG || hdr->header != HDRS_MAGIC)
		die("%s: not a bzImage", path);
	if (hdr->version < PROTOCOL_64BIT || !(hdr->xloadflags & XLF_KERNEL_64))
		die("%s: no 64-bit entry (boot protocol %u.%02u)", path,
		    hdr->version >> 8, hdr->version & 0xff);

	setup_size = ((hdr->setup_sects ? hdr->setup_sects : 4) + 1) * 512;
	if (file_size < setup_size + hdr->syssize * 16ULL)
		die("%s: truncated: %llu bytes, its header tells of %llu", path,
		    (unsigned long long)file_size,
		    (unsigned long long)setup_size + hdr->syssize * 16ULL);
	return setup_size;
}

/* As high as the kernel can reach, so that it does not stand in its way */
static void load_initrd(struct vm *vm, const char *path,
			struct setup_header *hdr, uint64_t kernel_end)
{
	uint64_t size, addr, end = vm->low_ram;
	int fd = open_file(path, &size);

	if (end > hdr->initrd_addr_max + 1ULL)
		end = hdr->initrd_addr_max + 1ULL;
	addr = (end - size) & ~0xfffULL;
	if (size > end || addr < kernel_end)
		die("%s: does not fit into the guest's memory", path);
	read_file(fd, path, vm_ram(vm, addr, size), size, 0);
	hdr->ramdisk_image = addr;
	hdr->ramdisk_size = size;
	close(fd);
}

static void add_e820(struct boot_params *params, uint64_t addr, uint64_t end,
		     uint32_t type)
{
	struct boot_e820_entry *e = &params->e820_table[params->e820_entries++];

	e->addr = addr;
	e->size = end - addr;
	e->type = type;
}

static void build_params(struct vm *vm, const struct setup_header *hdr)
{
	struct boot_params *params = vm_ram(vm, BOOT_PARAMS, sizeof(*params));

	params->hdr = *hdr;
	params->acpi_rsdp_addr = ACPI_TABLES;
	add_e820(params, 0, LOW_RAM_END, E820_RAM);
	add_e820(params, ACPI_TABLES, ACPI_TABLES + ACPI_TABLES_SIZE,
		 E820_RESERVED);
	add_e820(params, ONE_MIB, vm->low_ram, E820_RAM);
	if (vm->ram_size > vm->low_ram)
		add_e820(params, HIGH_RAM,
			 HIGH_RAM + vm->ram_size - vm->low_ram, E820_RAM);
}

void boot_load(struct vm *vm, const char *kernel, const char *initrd,
	       const char *cmdline)
{
	uint64_t file_size, setup_size, kernel_end;
	size_t cmdline_size = strlen(cmdline) + 1;
	struct setup_header hdr;
	int fd = open_file(kernel, &file_size);

	setup_size = read_header(fd, kernel, file_size, &hdr);
	kernel_end = hdr.pref_address + hdr.init_size;
	if (hdr.pref_address < ONE_MIB || kernel_end < hdr.pref_address ||
	    kernel_end > vm->low_ram || file_size - setup_size > hdr.init_size)
		die("%s: does not fit into the guest's memory", kernel);
	read_file(fd, kernel, vm_ram(vm, hdr.pref_address, hdr.init_size),
		  file_size - setup_size, setup_size);
	close(fd);
	vm->entry = hdr.pref_address + ENTRY_64;

	if (cmdline_size > hdr.cmdline_size)
		die("the kernel command line is longer than %u bytes",
		    hdr.cmdline_size);
	memcpy(vm_ram(vm, BOOT_CMDLINE, cmdline_size), cmdline, cmdline_size);

	hdr.type_of_loader = 0xff; /* no assigned id */
	hdr.cmd_line_ptr = BOOT_CMDLINE;
	if (initrd)
		load_initrd(vm, initrd, &hdr, kernel_end);
	build_params(vm, &hdr);
}
