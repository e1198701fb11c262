<?php
// SimpleSAMLphp's settings: Debian's, and over them what the tests say.
require '/etc/simplesamlphp/config.php';
$said = json_decode(file_get_contents(getenv('IDP_SETTINGS')), true);
$config = array_merge($config, $said['config']);
