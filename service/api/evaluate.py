"""`POST /evaluate`."""

from fastapi import APIRouter

router = APIRouter()
