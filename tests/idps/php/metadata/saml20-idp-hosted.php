<?php
// The IdP itself: keys, bindings, what it signs and says.
$said = json_decode(file_get_contents(getenv('IDP_SETTINGS')), true);
$metadata[$said['entity_id']] = $said['idp'];
