"""Django's ORM over its drivers, whose features it uses to the full: traced, and with no other result."""

from __future__ import annotations

import pytest

PROGRAM = """
import sys
from urllib.parse import urlsplit
import django
from django.conf import settings

to = urlsplit(sys.argv[1])
engine = {"postgresql": "postgresql", "mysql": "mysql"}[to.scheme]
settings.configure(
    USE_TZ=True,
    DATABASES={"default": {"ENGINE": f"django.db.backends.{engine}", "NAME": "test", "USER": to.username,
        "PASSWORD": to.password or "", "HOST": to.hostname, "PORT": to.port}},
)
django.setup()
from django.db import connection, models, transaction
from django.db.utils import IntegrityError

class User(models.Model):
    name = models.CharField(max_length=20, unique=True)
    tags = models.JSONField(default=dict)
    born = models.DateTimeField(null=True)
    class Meta:
        app_label, db_table = "shop", "django_users"

with connection.schema_editor() as editor:
    editor.create_model(User)
try:
    with transaction.atomic():
        User.objects.bulk_create([User(name=f"user {n}", tags={"n": n}) for n in range(3)])
    try:
        with transaction.atomic():
            User.objects.create(name="user 1")
    except IntegrityError:
        print("refused")
    print(sorted(User.objects.filter(name__startswith="user").values_list("name", "tags__n")))
    print([user.name for user in User.objects.order_by("name").iterator(chunk_size=2)])
    print(User.objects.filter(name="user 2").update(name="secret name"), connection.vendor)
finally:
    with connection.schema_editor() as editor:
        editor.delete_model(User)
"""


@pytest.mark.slow
@pytest.mark.parametrize("fixture", ["postgresql_url", "mariadb_url"])
def test_the_orm(fixture, request, sandbox, arrivals):
    if fixture == "mariadb_url":
        pytest.importorskip("MySQLdb")
    pytest.importorskip("django")
    url = request.getfixturevalue(fixture)
    sandbox.write("app.py", PROGRAM)
    plain = sandbox.run("app.py", url, traced=False)
    assert (plain.code, plain.err) == (0, "")
    done = sandbox.run("app.py", url, **arrivals.environ)
    assert (done.code, done.out, done.err) == (plain.code, plain.out, plain.err)
    told = [span.name for span in arrivals.spans if "django_users" in span.name]
    for name in ("INSERT", "SELECT", "UPDATE", "DROP TABLE"):
        assert any(name in one for one in told), told
    assert b"secret name" not in arrivals.raw
