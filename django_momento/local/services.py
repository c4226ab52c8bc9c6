"""What is served: every service of the protocol, with the servicers that answer its calls.

The list alone; how a call gets to its servicer is ``dispatch``'s, and where it all listens ``server``'s.
"""

from __future__ import annotations

from momento_wire_types import cacheclient_pb2, cachepubsub_pb2, controlclient_pb2, token_pb2

from django_momento.local.control import Control
from django_momento.local.dictionaries import Dictionaries
from django_momento.local.dispatch import Dispatcher, Service
from django_momento.local.hashes import Hashes
from django_momento.local.items import Items
from django_momento.local.lists import Lists
from django_momento.local.pubsub import Pubsub
from django_momento.local.scalars import Scalars
from django_momento.local.sets import Sets
from django_momento.local.signing_keys import SigningKeys
from django_momento.local.sorted_sets import SortedSets
from django_momento.local.store import Store

SCS = cacheclient_pb2.DESCRIPTOR.services_by_name["Scs"]
SCS_CONTROL = controlclient_pb2.DESCRIPTOR.services_by_name["ScsControl"]
PUBSUB = cachepubsub_pb2.DESCRIPTOR.services_by_name["Pubsub"]
# Nothing answers its call; served all the same, so that it is refused by name and not by gRPC.
TOKEN = token_pb2.DESCRIPTOR.services_by_name["Token"]


def services(dispatcher: Dispatcher, store: Store) -> tuple[Service, ...]:
    data = (Scalars(), Hashes(), Items(), Dictionaries(), Sets(), Lists(), SortedSets())
    return (
        dispatcher.data_service(SCS, *data),
        dispatcher.control_service(SCS_CONTROL, Control(store), SigningKeys()),
        dispatcher.control_service(PUBSUB, Pubsub(store)),
        dispatcher.control_service(TOKEN),
        dispatcher.ping_service(),
    )
