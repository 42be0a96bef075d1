from sqlalchemy import func, select
from idp.feed.models import Change
head_of_feed = select(func.max(Change.position)).scalar_subquery()
