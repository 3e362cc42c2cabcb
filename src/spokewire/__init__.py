"""Spokewire: a private WireGuard network between machines that can only dial out.

The words used everywhere, one per idea: a *network* is all of it; its *operator* holds the root key; *hub* and *node* are
the two roles of a *machine*, which a *provider* creates; a *document* is something signed (*grant*, *record*, *settings*); the
*roster* is all valid documents; a *token* is what a machine needs to join; *spec* is what is wanted, *status* what is observed,
*plan* the difference as data; an *issue* is something wrong, with a code; the *lab* is the network on one machine.
"""
