#ifndef KEEPER_NOTIFY_H
#define KEEPER_NOTIFY_H

/*
 * Tell the service manager, by the protocol of sd_notify(3): "READY=1", "STOPPING=1".
 * Nothing happens without NOTIFY_SOCKET in the environment; failures are ignored, as the
 * protocol has it.
 */
void notify_manager(const char *message);

#endif
