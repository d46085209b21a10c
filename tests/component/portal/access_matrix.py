"""Every route and who may use it. A route that is not listed fails the test.

Who: nobody (not signed in), share and link (came by a share link, by an upload link), sender (of the
study), stranger (another sender), doctor (the study was addressed to them), other (a doctor it was not
addressed to), clerk, approver, admin.

Marks behind the path:
?  there is no such object: who may gets 404, who may not gets 401 or 403
=  the object decides: who may not gets 401, 403 or 404
*  both: only that nobody gets in without signing in, and nobody is refused who may
"""

ALL = "nobody share link sender stranger doctor other clerk approver admin"
SIGNED = "share link sender stranger doctor other clerk approver admin"
PEOPLE = "sender stranger doctor other clerk approver admin"
SEND = "link sender stranger admin"
STAFF = "doctor other clerk approver admin"
STUDY = "share sender doctor clerk approver admin"
HOUSE = "doctor clerk approver admin"
APPROVE = "approver admin"
ADMIN = "admin"

ROUTES: dict[str, str] = {}


def _allow(who: str, lines: str) -> None:
    for line in lines.strip().splitlines():
        ROUTES[line.strip()] = who


_allow(
    ALL,
    """
    GET /healthz
    GET /readyz
    GET /api/openapi.json
    GET /api/asyncapi.json
    GET /static/{version}/{path:path} ?
    GET /favicon.ico
    POST /language
    GET /login
    POST /login
    GET /reset
    POST /reset
    GET /register
    POST /register
    POST /logout
    GET /welcome/{secret} ?
    POST /welcome/{secret} ?
    GET /share/{secret} ?
    POST /share/{secret} ?
    POST /share/{secret}/code ?
    GET /u/{secret} ?
    POST /u/{secret} ?
    OPTIONS /api/uploads
    """,
)
_allow(
    "",
    """
    GET /login/code
    POST /login/code
    GET /login/protect
    POST /login/protect
    GET /login/ready
    """,
)
_allow(
    SIGNED,
    """
    GET /api/whoami
    GET /here
    POST /here
    """,
)
_allow(
    ADMIN,
    """
    GET /metrics
    GET /admin
    GET /admin/accounts
    POST /admin/accounts/search
    GET /admin/accounts/invite
    POST /admin/accounts/invite
    GET /admin/accounts/machine
    POST /admin/accounts/machine
    GET /admin/accounts/{account} ?
    POST /admin/accounts/{account} ?
    POST /admin/accounts/{account}/disable ?
    POST /admin/accounts/{account}/enable ?
    POST /admin/accounts/{account}/invite ?
    POST /admin/accounts/{account}/second-factor ?
    POST /admin/accounts/{account}/sign-out ?
    POST /admin/accounts/{account}/tokens ?
    POST /admin/accounts/{account}/tokens/revoke ?
    POST /admin/accounts/{account}/unlock ?
    GET /admin/audit
    POST /admin/audit
    GET /admin/audit.csv
    POST /admin/audit/check
    GET /admin/destinations
    GET /admin/destinations-new
    POST /admin/destinations-new
    GET /admin/destinations/{name} ?
    POST /admin/destinations/{name} ?
    POST /admin/destinations/{name}/remove ?
    GET /admin/feed
    GET /admin/groups
    GET /admin/groups/new
    GET /admin/groups/{group_id} ?
    POST /admin/groups/{group_id} ?
    POST /admin/groups/{group_id}/remove ?
    GET /admin/policies
    POST /admin/policies ?
    GET /admin/queues
    POST /admin/queues/replay ?
    GET /admin/requests
    POST /admin/requests/{request_id}/decline ?
    GET /admin/storage
    POST /admin/storage ?
    POST /admin/storage/figure
    POST /admin/storage/keep ?
    POST /admin/storage/release ?
    POST /admin/storage/files/keep ?
    POST /admin/storage/files/release ?
    GET /api/groups
    POST /api/groups
    PATCH /api/groups/{group} ?
    DELETE /api/groups/{group} ?
    GET /api/retention
    PUT /api/retention
    POST /api/retention/figure
    DELETE /api/retention/kept/{study_id} =
    PUT /api/retention/kept-files/{submission_id}/{rule} ?
    DELETE /api/retention/kept-files/{submission_id}/{rule} ?
    GET /api/accounts
    POST /api/accounts
    PATCH /api/accounts/{text} ?
    GET /api/audit
    GET /api/audit/chain
    GET /api/dead-letters
    POST /api/dead-letters/{letter_id}/replay ?
    POST /api/destinations
    POST /api/destinations/{destination_id}/echo ?
    DELETE /api/destinations/{name} ?
    PATCH /api/destinations/{name} ?
    GET /api/events
    GET /api/feed
    GET /api/lag
    GET /api/notices
    GET /api/tokens
    POST /api/tokens ?
    DELETE /api/tokens/{token} ?
    """,
)
_allow(
    PEOPLE,
    """
    GET /account
    POST /account/password
    POST /account/profile
    GET /account/protect
    POST /account/protect
    POST /account/recovery
    POST /account/sessions/end ?
    POST /account/sessions/end-all
    POST /account/tokens
    POST /account/tokens/revoke *
    POST /account/unprotect
    """,
)
_allow(
    SIGNED,
    """
    GET /
    POST /
    GET /api/studies
    POST /api/studies/search
    GET /api/submissions
    POST /api/uploads/{upload_id}
    POST /inbox/now
    GET /live
    GET /s/{submission_id}/studies
    GET /dicomweb/studies
    GET /dicomweb/series
    GET /dicomweb/instances
    """,
)
_allow(
    PEOPLE,
    """
    POST /inbox/views
    POST /inbox/views/remove
    """,
)
_allow(
    SEND,
    """
    POST /api/submissions
    POST /api/submissions/{submission_id}/close ?
    POST /api/uploads
    PATCH /api/uploads/{upload_id}
    DELETE /api/uploads/{upload_id}
    """,
)
_allow("link sender stranger admin", "GET /submissions")
_allow(
    "sender stranger admin",
    """
    GET /send
    POST /api/directory/search
    POST /api/send
    PUT /api/send
    POST /dicomweb/studies
    POST /dicomweb/studies/{study_uid}
    """,
)
_allow(
    SIGNED,
    """
    GET /api/submissions/{submission_id} *
    GET /api/submissions/{submission_id}/manifest *
    GET /api/submissions/{submission_id}/ordinals *
    GET /files/{submission_id}/{document_id} *
    """,
)
_allow(
    "sender doctor clerk approver admin",
    """
    GET /api/submissions/{submission_id}/documents =
    GET /api/submissions/{submission_id}/outcome =
    GET /s/{submission_id} =
    GET /s/{submission_id}/live =
    GET /s/{submission_id}/receipt =
    GET /s/{submission_id}/state =
    POST /studies/{study_id}/comments =
    """,
)
_allow(
    STUDY,
    """
    GET /api/studies/{study_id} =
    GET /studies/{study_id} =
    GET /studies/{study_id}/parts =
    GET /studies/{study_id}/download =
    GET /dicomweb/study/{study_id}/archive =
    GET /dicomweb/study/{study_id}/quicklook/{series_uid} *
    GET /dicomweb/study/{study_id}/quicklook/{series_uid}/middle *
    """,
)
_allow(
    HOUSE,
    """
    GET /studies/{study_id}/share =
    POST /studies/{study_id}/share =
    POST /studies/{study_id}/share/colleague =
    POST /studies/{study_id}/share/revoke *
    """,
)
_allow(
    STAFF,
    """
    GET /requests
    POST /requests
    POST /requests/{grant_id}/revoke ?
    GET /api/upload-links
    POST /api/upload-links
    GET /api/upload-links/{link_id} ?
    DELETE /api/upload-links/{link_id} ?
    """,
)
_allow(
    APPROVE,
    """
    POST /api/deliveries/{delivery_id}/retry ?
    GET /api/destinations
    GET /api/matches/{study_id}
    POST /api/patients/search
    POST /api/studies/{study_id}/decision =
    POST /studies/{study_id}/decision =
    POST /studies/{study_id}/compare
    POST /studies/{study_id}/undo =
    POST /studies/{study_id}/keep =
    PUT /api/retention/kept/{study_id} =
    POST /inbox/bulk
    """,
)
_allow("clerk approver admin", "POST /api/choose/senders\nPOST /api/choose/recipients")
_allow(STAFF, "POST /api/choose/colleagues")
_allow("clerk approver admin", "GET /api/deliveries")
_allow(ALL, "GET /viewer\nGET /viewer/{path:path} ?")

IMAGES = """
    /studies/{study}
    /studies/{study}/instances
    /studies/{study}/metadata
    /studies/{study}/rendered
    /studies/{study}/series
    /studies/{study}/thumbnail
    /studies/{study}/series/{series}
    /studies/{study}/series/{series}/instances
    /studies/{study}/series/{series}/metadata
    /studies/{study}/series/{series}/rendered
    /studies/{study}/series/{series}/thumbnail
    /studies/{study}/series/{series}/instances/{instance}
    /studies/{study}/series/{series}/instances/{instance}/bulkdata/{number}
    /studies/{study}/series/{series}/instances/{instance}/metadata
    /studies/{study}/series/{series}/instances/{instance}/rendered
    /studies/{study}/series/{series}/instances/{instance}/thumbnail
    /studies/{study}/series/{series}/instances/{instance}/frames/{numbers}
    /studies/{study}/series/{series}/instances/{instance}/frames/{numbers}/rendered
    /studies/{study}/series/{series}/instances/{instance}/frames/{numbers}/thumbnail
"""
"""Found by UIDs, which the samples' instances do not have: only that nobody gets in without signing in."""
for _path in IMAGES.split():
    _allow(SIGNED, f"GET /dicomweb{_path} *\nGET /dicomweb/{{root_kind}}/{{root_id}}{_path} *")
for _list in ("studies", "series", "instances"):
    _allow(SIGNED, f"GET /dicomweb/{{root_kind}}/{{root_id}}/{_list} *")
