/* jobberd: the command line without behaviours of its own. */

#include <jobber/jobber.h>

#include <stddef.h>

int
main(int argc, char **argv)
{
	static const struct jobber_behaviour none[] = { { NULL, NULL, NULL } };

	return jobber_main(argc, argv, none);
}
