"""Small archives for a local test server, and short retries to fetch them."""

import io
import tarfile
import zipfile

from crydistill.download import RetryPolicy

QUICK = RetryPolicy(tries=3, first_wait=0.001, longest_wait=0.01, timeout=2.0)


def zipped(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()
