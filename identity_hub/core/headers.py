"""What the hub promises the browser with every page. Knows no page; a view may set its own policy first."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

# No form-action: Chromium applies it to redirects after a form too, and the sign-in form ends at an IdP.
_PAGES = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "style-src 'self' 'unsafe-inline'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "object-src 'none'",
    ),
)
# The admin theme (Alpine.js) evaluates the expressions in its attributes.
_ADMIN = f"{_PAGES}; script-src 'self' 'unsafe-inline' 'unsafe-eval'; font-src 'self' data:"


class ContentSecurityPolicyMiddleware:
    """Adds a Content-Security-Policy to HTML answers."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.get("Content-Type", "").startswith("text/html"):
            response.setdefault(
                "Content-Security-Policy",
                _ADMIN if request.path.startswith("/admin/") else _PAGES,
            )
        return response
