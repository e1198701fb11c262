<?php
// Who may sign in, and with what.
$said = json_decode(file_get_contents(getenv('IDP_SETTINGS')), true);
$config = ['people' => array_merge(['exampleauth:UserPass'], $said['people'])];
