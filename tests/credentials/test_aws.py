"""A secret is called by its name in messages, and an ARN to allow is one that IAM would take."""

from __future__ import annotations

import boto3

from django_momento.credentials.aws import AwsSecret, partition_of, region_of
from tests.kit.aws import ARN
from tests.kit.tables import table

SESSION = boto3.session.Session()
REGIONS = [
    region
    for partition in SESSION.get_available_partitions()
    for region in SESSION.get_available_regions("secretsmanager", partition)
]


@table("region", REGIONS)
def test_a_region_s_partition_is_the_one_that_aws_says(region: str) -> None:
    """The agent's process has no botocore to ask, so the table must know what botocore does."""
    assert SESSION.get_partition_for_region(region) == partition_of(region)


@table("region", ["", "somewhere-new-1"])
def test_a_region_of_no_known_partition_is_in_the_ordinary_one(region: str) -> None:
    """New regions are, almost always."""
    assert "aws" == partition_of(region)


@table(
    ("secret_id", "region", "arn"),
    [
        ("momento", "us-west-2", "arn:aws:secretsmanager:us-west-2:*:secret:momento-*"),
        ("team/momento", "cn-north-1", "arn:aws-cn:secretsmanager:cn-north-1:*:secret:team/momento-*"),
        ("m", "us-gov-west-1", "arn:aws-us-gov:secretsmanager:us-gov-west-1:*:secret:m-*"),
        ("m", None, "arn:aws:secretsmanager:*:*:secret:m-*"),
        (ARN, "eu-west-1", ARN),
    ],
)
def test_an_arn_to_allow_is_of_the_region_s_partition(secret_id: str, region: str | None, arn: str) -> None:
    """In China and for governments ARNs begin otherwise; where a region is not known, any will do."""
    assert arn == AwsSecret(secret_id, "AWSCURRENT", region).arn


@table(("secret_id", "name"), [("team/momento", "team/momento"), (ARN, "team/momento")])
def test_a_name_is_what_create_secret_takes(secret_id: str, name: str) -> None:
    """An ARN has a hyphen and six characters more."""
    assert name == AwsSecret(secret_id, "AWSCURRENT", "eu-west-1").name


@table(
    ("secret_id", "configured", "asked"),
    [
        ("momento", "us-west-2", "us-west-2"),
        ("momento", None, None),
        (ARN, None, "eu-west-1"),
        (ARN, "us-west-2", "eu-west-1"),
        (ARN.replace("arn:aws:", "arn:aws-cn:"), None, "eu-west-1"),
        ("arn:aws:secretsmanager:::secret:x", "us-west-2", "us-west-2"),
        ("arn:momento", "us-west-2", "us-west-2"),
    ],
)
def test_the_region_asked_is_the_arn_s_or_the_configured_one(
    secret_id: str, configured: str | None, asked: str | None
) -> None:
    """Only a whole ARN has a region of its own; without any, whoever asks has one."""
    assert asked == region_of(secret_id, configured)
