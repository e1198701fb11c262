<?php
// A clock that goes wrong by as many seconds as the tests say, wherever SimpleSAMLphp asks what time it is: PHP looks for
// a function in the caller's namespace before it takes its own.

namespace {
    function idp_time(): int
    {
        $said = json_decode(file_get_contents(getenv('IDP_SETTINGS')), true);
        return \time() + $said['clock'];
    }
}

namespace SimpleSAML {
    function time(): int { return \idp_time(); }
}

namespace SimpleSAML\Module\saml {
    function time(): int { return \idp_time(); }
}

namespace SimpleSAML\Module\saml\IdP {
    function time(): int { return \idp_time(); }
}

namespace SAML2\Utilities {
    function time(): int { return \idp_time(); }
}
