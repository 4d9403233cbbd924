"""Holds a folder of a deployment together: what its files name must be there.

Usage: check_deploy.py FOLDER VARIABLE…. The variables are those that the program knows. Prints each fault, and ends with
1 where there is one.
"""

import re
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import yaml

ROLES = {"orchestrate", "collect", "notify", "project", "api"}

folder, variables = Path(sys.argv[1]), set(sys.argv[2:])
text = (folder / "compose.yaml").read_text()
compose = yaml.safe_load(text)
settings = tomllib.loads((folder / "mirage.toml").read_text())
services = compose["services"]
faults = []


def addresses(value: object) -> list[str]:
    """Every text of the settings that is an address."""
    if isinstance(value, dict):
        return [found for part in value.values() for found in addresses(part)]
    if isinstance(value, list):
        return [found for part in value for found in addresses(part)]
    return [value] if isinstance(value, str) and "://" in value else []


for address in addresses(settings):
    host = urlsplit(address).hostname
    if host not in services:
        faults.append(f"mirage.toml names {address}, and there is no service {host}")

roles = []
for name, service in services.items():
    words = service.get("command", [])
    if "--role" in words:
        roles.append(words[words.index("--role") + 1])
        faults += [
            f"{name} is given {variable}, which the program does not know"
            for variable in service.get("environment", {})
            if variable not in variables
        ]
    needed = service.get("depends_on", [])
    faults += [f"{name} waits for {other}, which is no service" for other in needed if other not in services]
    for mount in service.get("volumes", []):
        source = mount.split(":")[0]
        is_there = (folder / source).exists() if source.startswith(".") else source in compose["volumes"]
        if not is_there:
            faults.append(f"{name} mounts {source}, which is not there")
if sorted(roles) != sorted(ROLES):
    faults.append(f"the roles are {sorted(roles)}, not each of {sorted(ROLES)} once")

head = text[: text.index("name:")]
for secret in set(re.findall(r"\$\{([A-Z_]+)", text)):
    if secret not in head:
        faults.append(f"nobody is told of {secret}")

print("\n".join(faults))
sys.exit(bool(faults))
