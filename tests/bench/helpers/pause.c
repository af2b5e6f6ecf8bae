/* pause: a child that is there and does nothing. Static, so that 10,000 of it fit anywhere. */

#include <unistd.h>

int
main(void)
{
	for (;;)
		pause();
}
